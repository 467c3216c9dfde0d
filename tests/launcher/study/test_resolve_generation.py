"""Text and generator of rows that are to be generated are looked for before anything is sent."""

import pytest

from launcher.doctor import main as doctor
from launcher.submit import main as submit
from stilt.data.load import load_splits
from stilt.errors import NoDataError
from stilt.task import load_task
from tests.support.own_study import make_own_study
from tests.support.small_synthesis import make_text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's folder with a text and a tiny generator."""
    return make_own_study(make_text(tmp_path_factory.mktemp("generating")))


def flags(made, model, **synthesis):
    """Writes a grid with a source whose rows are generated; the flags that name it."""
    place = made.parent
    table = {"text": f"{place}/text.json", "generator": f"{place}/gpt2", "gguf": "", **synthesis}
    gguf = f'gguf = "{table["gguf"]}"\n' if table["gguf"] else ""
    own = (made / "own.toml").read_text().replace('"endings"]', '"synthesis-gpt2"]', 1)
    (made / "generated.toml").write_text(
        f'{own}[synthesis]\ntext = "{table["text"]}"\n'
        f'generator = {{path = "{table["generator"]}"}}\n'
        f"{gguf}sentences = 20\ndev_sentences = 4\n"
    )
    return [
        *("--grid", str(made / "generated.toml"), "--root", str(made / "logs")),
        *("--data-dir", str(made / "data"), "--model", str(model)),
    ]


@pytest.mark.parametrize(
    ("synthesis", "said"),
    [
        ({"generator": "absent"}, "synthesis generator: "),
        ({"gguf": "q4.gguf"}, "synthesis field 'gguf' = 'q4.gguf': no such file ("),
        ({"text": "absent.txt"}, "synthesis field 'text' = 'absent.txt': no such file ("),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    made, roberta, capsys, synthesis, said
):
    asked = flags(made, roberta, **synthesis)
    assert submit([*asked, "--executor", "local"]) == 2
    assert f"error: {said}" in capsys.readouterr().err
    assert not (made / "logs").exists()

    assert submit([*asked, "--executor", "local", "--dry-run"]) == 2
    assert f"not as it is: {said}" in capsys.readouterr().out

    assert doctor(asked) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "✗ bad" in printed and said.split(":")[0] in printed


def test_rows_that_are_not_generated_are_no_data_rather_than_wrong_data():
    """The measuring of a model, and a look at a task, go on without them."""
    with pytest.raises(NoDataError, match="its rows not generated yet: a submit does so first"):
        load_splits(load_task("synthesis-gpt2"), None)
