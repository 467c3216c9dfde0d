"""Staging: everything a job will read is fetched and tokenised, or a person is told what to do."""

import itertools
import json
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jobs import staging
from jobs.settings import StagingRequest
from jobs.worker import Worker
from launcher.flags import Places
from launcher.stage import as_request, end_of
from launcher.stage import main as stage
from launcher.study.resolve import resolve_study
from stilt.folder import StudyFolder
from stilt.grid import grid_names
from stilt.task import task_names
from tests.support.json_lines import write_jsonl


def arguments(own, roberta, *more):
    """A user's own grid, with her data and a model folder."""
    return [
        *("--grid", str(own / "own.toml"), "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(roberta), *more),
    ]


@pytest.fixture
def request_of(own_study):
    """Makes the request that the command line would make for a user's own study."""

    def made(model):
        resolved = resolve_study(
            str(own_study / "own.toml"),
            Places(own_study / "logs", own_study / "data", str(model)),
        )
        return as_request(resolved, generate=False, device="cpu")

    return made


@pytest.fixture
def in_process(monkeypatch):
    """Stages without a process of its own, which would load torch once more for each test."""

    def run(request, console, *, online):
        sent = StagingRequest.model_validate_json(request.model_dump_json())
        return list(staging.stage_all(sent, lambda doing: None))

    monkeypatch.setattr("launcher.stage.run", run)
    monkeypatch.setenv("COLUMNS", "140")


@pytest.mark.slow
def test_staging_runs_in_a_process_of_its_own(own_study, roberta, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "140")
    assert stage(arguments(own_study, roberta, "--study", "mine")) == 0
    said = capsys.readouterr().out
    rows = {line.split()[1]: line.split() for line in said.splitlines() if "✓" in line}
    assert set(rows) == {"model", "pairs", "endings"}
    assert rows["pairs"][2:4] == ["24", "12"]
    grid, places = arguments(own_study, roberta)[:2], arguments(own_study, roberta)[2:]
    following = shlex.join([*grid, "--study", "mine", *places])
    assert f"Next: python launcher/submit.py {following}\n" in said
    assert not (own_study / "logs").exists(), "nothing but the cache is written"


def test_what_breaks_a_staging_process_is_told(own_study, roberta, monkeypatch, capsys):
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert stage(arguments(own_study, roberta)) == 2
    assert "staging broke down" in capsys.readouterr().err


def test_every_task_is_rendered_tokenised_and_cached(request_of, roberta):
    request = request_of(roberta)
    found = {item.name: item for item in staging.stage_all(request, lambda doing: None)}
    assert [item.problem for item in found.values()] == [None] * 3
    assert (found["endings"].train, found["endings"].dev) == (24, 12)
    with np.load(request.settings.cache / "encoded" / found["pairs"].file) as arrays:
        lengths = np.diff(arrays["offsets"])
    assert found["pairs"].tokens == pytest.approx(lengths.mean())
    assert found["pairs"].full == pytest.approx((lengths >= 40).mean())


def test_a_job_finds_what_was_staged_and_tokenises_nothing_again(request_of, roberta, monkeypatch):
    request = request_of(roberta)
    list(staging.stage_all(request, lambda doing: None))
    worker = Worker(request.study, StudyFolder(request.folder), request.settings)
    monkeypatch.setattr("stilt.data.encode.encode", lambda *found: pytest.fail("tokenised again"))
    for cell in request.study.cells.values():
        assert len(worker.encoded(cell.target)[0]) == 24
    for source in request.study.sources.values():
        assert len(worker.encoded(source.task, source.train_size)[1]) == 12


def test_all_problems_are_listed_at_once_and_end_with_2(own_study, roberta, in_process, capsys):
    (own_study / "data/pairs/dev.jsonl").unlink()
    write_jsonl(own_study / "data/endings/train.jsonl", [{"ctx": "a", "label": 0}])
    code = stage(arguments(own_study, roberta))
    said = capsys.readouterr()
    assert code == 2
    assert "2 problems" in said.err
    assert "pairs/dev.jsonl (no such file)" in said.err
    assert "field 'endings' is missing" in said.err
    assert "✓ model" in said.out
    assert "✗ pairs" in said.out


def test_what_is_odd_in_the_rows_is_shown_and_all_is_staged(own_study, roberta, in_process, capsys):
    path = own_study / "data/pairs/dev.jsonl"
    path.write_text((own_study / "data/pairs/train.jsonl").read_text())
    assert stage(arguments(own_study, roberta)) == 0
    said = capsys.readouterr().out
    assert (
        "to look at: pairs, dev has the very rows of train (24): its score tells what was "
        "remembered." in said
    )


def test_a_task_that_cannot_be_had_says_what_to_put_where(own_study, roberta, in_process, capsys):
    (own_study / "data/pairs/dev.jsonl").unlink()
    stage(arguments(own_study, roberta))
    [line] = capsys.readouterr().err.splitlines()
    assert f"Put pairs/train.jsonl and pairs/dev.jsonl below {own_study / 'data'}" in line


def edited(roberta, place, **fields):
    """A copy of the model with some fields of its config.json changed."""
    folder = shutil.copytree(roberta, place)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))
    return folder


def test_a_model_that_is_of_no_use_is_a_problem_and_data_are_checked_all_the_same(
    own_study, roberta, tmp_path, in_process, capsys
):
    broken = edited(roberta, tmp_path / "broken", num_hidden_layers=3)
    code = stage(arguments(own_study, broken))
    said = capsys.readouterr()
    assert code == 2
    assert "its weights do not fit its config.json (roberta)" in said.err
    assert "Wanted for: endings." in said.err
    assert "✓ pairs" in said.out


def test_stage_itself_never_loads_torch():
    code = "import sys, launcher.stage; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True, check=True
    )
    assert not {"torch", "transformers", "datasets"} & set(json.loads(run.stdout))


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("short", "short"),
        ("/a/very/long/path/of/data", "…/path/of/data"),
        ("some other words", "some other words"),
    ],
)
def test_long_places_keep_their_end(where, shown):
    assert end_of(where, 14) == shown


def test_a_model_of_the_hub_is_asked_when_it_is_staged(request_of, roberta):
    request = request_of(roberta)
    tasks = {
        name: task.model_copy(update={"max_length": 129})
        for name, task in request.study.tasks.items()
    }
    study = request.study.model_copy(update={"tasks": tasks})
    model, *_ = staging.stage_all(request.model_copy(update={"study": study}), lambda doing: None)
    assert model.problem == (
        "task 'endings', field 'max_length' = 129; task 'pairs', field 'max_length' = 129: the "
        "model has 128 positions."
    )


def test_which_text_the_rows_are_is_told_in_a_line(own_study, roberta, in_process, capsys):
    path = own_study / "pairs.toml"
    path.write_text(path.read_text() + 'note = "the second edition"\n')
    assert stage(arguments(own_study, roberta)) == 0
    assert "pairs: the second edition.\n" in capsys.readouterr().out


def test_what_a_job_will_generate_is_not_marked_as_there(own_study, roberta, in_process, capsys):
    grid = own_study / "own.toml"
    text = grid.read_text().replace('"endings"]', '"synthesis-gpt2"]', 1)
    grid.write_text(f'{text}[synthesis]\ntext = "text.txt"\n')
    (own_study / "text.txt").write_text("A cat sat. " * 20)
    stage(arguments(own_study, roberta))
    said = capsys.readouterr().out
    assert "○ synthesis-gpt2" in said and "✓ synthesis-gpt2" not in said
    assert "the first job generates its rows; --synthesise generates them here." in said


def test_one_file_is_shown_with_how_it_is_cut_and_how_little_few_rows_tell(tmp_path, capsys):
    (tmp_path / "polite.toml").write_text(
        'kind = "classification"\ntext_a = "{text}"\nlabels = ["no", "yes"]\nmax_length = 40\n'
        'epochs = 2\n[[data]]\ntrain = "polite.csv"\ndev = "polite.csv"\ncut_by = "text"\n'
    )
    rows = [f"text number {i},{'no' if i % 2 else 'yes'}" for i in range(80)]
    (tmp_path / "polite.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    words = ["--show", str(tmp_path / "polite.toml"), "--data-dir", str(tmp_path)]
    assert stage(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "dev is cut from the file of train by a hash of column 'text' ('cut_by'), about 20% of "
        "its values ('cut_dev')" in said
    )
    dev = int(said.partition("to look at: polite, dev has ")[2].split()[0])
    assert 5 < dev < 30
    assert f"one row is {100 / dev:.1f} points of accuracy, and smaller differences" in said


@pytest.mark.parametrize("listed", ["grids", "tasks"])
def test_every_grid_and_task_is_listed_those_of_one_s_own_too(
    listed, own_study, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(own_study)
    monkeypatch.setenv("STILT_GRIDS", str(own_study))
    (own_study / "broken.toml").write_text(
        'kind = "classification"\n' if listed == "tasks" else 'targets = ["rte"]\n'
    )
    assert stage(["--list", listed]) == 0
    said = capsys.readouterr().out
    row_of = {words[0]: words for line in said.splitlines() if (words := line.split())}
    ours = grid_names() if listed == "grids" else task_names([own_study, own_study / "tasks"])
    assert {"full", "own", "broken"} <= set(ours) or {"rte", "endings", "broken"} <= set(ours)
    # a file that says something wrong is told, and in no row
    assert set(ours) - set(row_of) == {"broken"}
    assert "left out: " in said and "broken.toml: field" in said
    if listed == "grids":
        assert row_of["table2"][-3:] == ["1", "2", "144"]
    else:
        assert row_of["rte"][-4:] == ["classification", "accuracy", "2490", "277"]


@pytest.mark.parametrize("listed", ["grids", "tasks"])
def test_a_narrow_terminal_cuts_no_name_of_the_list(listed, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    assert stage(["--list", listed]) == 0
    names = grid_names() if listed == "grids" else task_names()
    assert set(names) <= set(capsys.readouterr().out.split())


def test_help_says_first_what_is_expected_and_breaks_its_lines(capsys):
    with pytest.raises(SystemExit):
        stage(["--help"])
    lines = capsys.readouterr().out.splitlines()
    head = list(itertools.takewhile(lambda line: " options " not in line, lines))
    assert "One of --grid, --list, --show and --fields says what is asked for." in head
    assert max(map(len, head)) < 80
    assert ["", ""] not in [head[i : i + 2] for i in range(len(head))]
