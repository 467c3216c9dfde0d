"""What is done against what the paper and its released code do, fact by fact.

Nothing here is taken from our own output. "Code" is github.com/terarachang/Rethinking_STILT at
31487a6: ``utils.py`` (processors, featuriser), ``run.py`` (training), ``train_*.sh`` (settings),
``run_gpt2_synth_dataset.py``. The numbers in brackets are the sections of the project's reference
sheet on that code where a fact stands.
"""

import re
from itertools import pairwise, product

import pytest

from launcher.submit import main as submit
from stilt.cell import Hyperparameters
from stilt.data.encode import encode
from stilt.data.load import Example, load_splits, render, sample
from stilt.errors import DataError
from stilt.grid import load_grid
from stilt.schedule import plan_updates
from stilt.study import bind
from stilt.synthesis.halves import Drawn, halve
from stilt.task import load_task
from tests.support.letters import BOS, EOS, ids, load_letters
from tests.support.own_study import write_jsonl

# ---- facts: encoding [1]

# One example of every task and its sequences, one for each option. Code: ``encode_plus(text_a,
# text_b, max_length=L)`` gives <s>A</s></s>B</s>, or <s>A</s>; a </s> inside A is written in the
# text. A has no leading space, B has one only where its string begins with one. "Yan" stands in
# every A and "Zoe" in every B, to be stretched beyond L.
STORY = {"ctx_a": "Yan sits.", "ctx_b": "he", "source_id": "activitynet", "label": 3}
BLANK = {"qID": "x", "sentence": "Yan saw _ pass Zoe.", "option1": "Jo", "option2": "Al"}
BLANKS = ["<s>Yan saw </s></s>Jo pass Zoe.</s>", "<s>Yan saw </s></s>Al pass Zoe.</s>"]
LAYOUT = {
    "cola": (
        {"source": "gj", "label": "1", "mark": "", "sentence": "Yan drank."},
        ["<s>Yan drank.</s>"],
    ),
    "rte": (
        {"premise": "Yan ran.", "hypothesis": "Zoe moved.", "label": "entailment"},
        ["<s>Yan ran.</s></s>Zoe moved.</s>"],
    ),
    # word + "</s>" + sentence: one separator, no spaces around it
    "wic": (
        {"word": "go", "sentence1": "Yan can go.", "sentence2": "Zoe will go.", "label": "T"},
        ["<s>go</s>Yan can go.</s></s>Zoe will go.</s>"],
    ),
    "mednli": (
        {"sentence1": "Yan was febrile.", "sentence2": "Zoe had sepsis.", "gold_label": "neutral"},
        ["<s>Yan was febrile.</s></s>Zoe had sepsis.</s>"],
    ),
    # context + "</s>" + question, likewise
    "socialiqa": (
        {"context": "Yan ran.", "question": "Why?", "label": "2",
         "answerA": "late Zoe", "answerB": "Zoe, fun", "answerC": "fear of Zoe"},
        ["<s>Yan ran.</s>Why?</s></s>late Zoe</s>",
         "<s>Yan ran.</s>Why?</s></s>Zoe, fun</s>",
         "<s>Yan ran.</s>Why?</s></s>fear of Zoe</s>"],
    ),
    # the sentence up to the blank with its trailing space; option + " " + the rest
    "winogrande-xs": (BLANK | {"answer": "1"}, BLANKS),
    "winogrande-m": (BLANK | {"answer": "1"}, BLANKS),
    "winogrande-l": (BLANK | {"answer": "2"}, BLANKS),
    # ctx_b + " " + ending
    "hellaswag": (
        STORY | {"endings": ["naps, Zoe", "sees Zoe", "Zoe", "is Zoe."]},
        ["<s>Yan sits.</s></s>he naps, Zoe</s>", "<s>Yan sits.</s></s>he sees Zoe</s>",
         "<s>Yan sits.</s></s>he Zoe</s>", "<s>Yan sits.</s></s>he is Zoe.</s>"],
    ),
    # WikiHow has no ctx_b: its B begins with a space
    "hellaswag (WikiHow)": (
        STORY | {"ctx_b": "", "endings": ["Nap, Zoe", "See Zoe", "Zoe", "Be Zoe."]},
        ["<s>Yan sits.</s></s> Nap, Zoe</s>", "<s>Yan sits.</s></s> See Zoe</s>",
         "<s>Yan sits.</s></s> Zoe</s>", "<s>Yan sits.</s></s> Be Zoe.</s>"],
    ),
    # the ending alone: ctx_a and ctx_b are both gone
    "hellaswag-p": (
        STORY | {"endings": ["naps, Zoe", "sees Zoe", "Zoe", "is Zoe."]},
        ["<s>naps, Zoe</s>", "<s>sees Zoe</s>", "<s>Zoe</s>", "<s>is Zoe.</s>"],
    ),
    # a word alone has no other order; the gold ending (3) keeps its own
    "hella-sh": (
        STORY | {"endings": ["naps", "sees", "Zoe", "is it Zoe or not."]},
        ["<s>Yan sits.</s></s>he naps</s>", "<s>Yan sits.</s></s>he sees</s>",
         "<s>Yan sits.</s></s>he Zoe</s>", "<s>Yan sits.</s></s>he is it Zoe or not.</s>"],
    ),
    "synthesis-gpt2": (
        {"ctx": "Yan and the city", "label": 0, "endings": ["of Zoe", "Zoe was", "a Zoe", ", Zoe"]},
        ["<s>Yan and the city</s></s>of Zoe</s>", "<s>Yan and the city</s></s>Zoe was</s>",
         "<s>Yan and the city</s></s>a Zoe</s>", "<s>Yan and the city</s></s>, Zoe</s>"],
    ),
}  # fmt: skip
LENGTH = {
    "hellaswag": 120, "hella-sh": 120, "hellaswag-p": 50, "synthesis-gpt2": 60, "cola": 50,
    "rte": 100, "wic": 70, "mednli": 80, "socialiqa": 70,
    "winogrande-xs": 50, "winogrande-m": 50, "winogrande-l": 50,
}  # fmt: skip
"""L: the longest sequence in tokens. Hella-sh is not in the code; HellaSwag's is taken."""

# ---- facts: labels [1]: every spelling of a class in the files that the code reads, and its id
LABELS = {
    "hellaswag": {0: 0, 1: 1, 2: 2, 3: 3},
    "hella-sh": {0: 0, 1: 1, 2: 2, 3: 3},
    "hellaswag-p": {0: 0, 1: 1, 2: 2, 3: 3},
    "synthesis-gpt2": {0: 0},
    "cola": {"0": 0, "1": 1},
    "rte": {"entailment": 0, "not_entailment": 1},
    "wic": {"F": 0, "T": 1},
    "mednli": {"entailment": 0, "contradiction": 1, "neutral": 2},
    "socialiqa": {"1": 0, "2": 1, "3": 2},
    "winogrande-xs": {"1": 0, "2": 1},
    "winogrande-m": {"1": 0, "2": 1},
    "winogrande-l": {"1": 0, "2": 1},
}

# ---- facts: updates [2]: t_total of a target at batch 8, 16, 32, and of an intermediate task
UPDATES = {
    "cola": (5345, 2675, 1340),
    "rte": (1560, 780, 390),
    "wic": (3395, 1700, 850),
    "mednli": (7020, 3510, 1755),
    "winogrande-xs": (200, 100, 50),
    "winogrande-m": (1600, 800, 400),
    "winogrande-l": (5120, 2560, 1280),
    "socialiqa": (12528, 6264, 3132),
}
INTERMEDIATE_UPDATES = {
    ("hellaswag", 8): 14_967,
    ("hellaswag", 16): 7_485,
    ("hella-sh", 16): 7_485,
    ("hellaswag-p", 16): 7_485,
    ("synthesis-gpt2", 16): 3_750,
}
SOURCE_TRAINING = Hyperparameters(learning_rate=1e-5, batch_size=16, warmup_ratio=0.1, seed=42)
"""Paper, appendix A.1; the warmup ratio is the code's default [2]."""

# ---- facts: grids. Paper: figure 2, tables 2 to 4, figure 3, section 4.2
TRIALS = 3 * 3 * 2 * 2
"""Paper, section 4.1: learning rates x batch sizes x warmup ratios x seeds of every pair."""
TARGETS = tuple(UPDATES)
PAIRS = {
    "figure2": [*product(("none", "hellaswag", "hellaswag-p", "synthesis-gpt2"), TARGETS)],
    "table2": [*product(("none", "hellaswag"), ("rte", "wic"))],
    "table3": [*product(("none", "cola", "hella-sh"), ("mednli", "wic", "winogrande-m"))],
    "figure3": [*product(("none", "hellaswag-p@2000", "hellaswag-p@10000", "hellaswag-p"),
                         ("winogrande-m", "rte", "wic"))],
}  # fmt: skip
SCORED = {
    "table4": [*product(("none", "synthesis-gpt2", "hellaswag-p"), ("socialiqa", "winogrande-xs"))],
    # HellaSwag's model on its own dev set, without premises, and on SynthesisGPT2's
    "ablations": [("hellaswag", t) for t in ("hellaswag", "hellaswag-p", "synthesis-gpt2")],
}
"""Scored once, without training."""
PAIRS["full"] = PAIRS["figure2"]
TOTAL = {
    "figure2": 1152, "full": 1152, "table2": 144, "table3": 324, "figure3": 432,
    "table4": 6, "ablations": 3,
    # figure 2; two more sources x 3 targets; two more sizes x 3 targets; 6; 3: nothing twice
    "paper": 1152 + 2 * 3 * 36 + 2 * 3 * 36 + 6 + 3,
}  # fmt: skip
SIZES = (2_000, 10_000, 39_905)
"""Paper, section 5.3: 2k, 10k, 40k; the last is the whole training split of HellaSwag [3]."""


# ---- encoding


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return load_letters(tmp_path_factory.mktemp("letters"))


def encoded(case, row, tokenizer):
    """Token ids of every sequence of one row, as a run encodes them."""
    task = load_task(case.split()[0])
    found = encode(render(task, [row], "rows"), tokenizer, task.max_length)
    return [part.tolist() for part in map(found.ids.__getitem__, spans(found.offsets))]


def spans(offsets):
    return [slice(a, b) for a, b in pairwise(offsets)]


def sides(layout, plain):
    """Token ids of A and of B (None where there is none); ``plain`` encodes text between tokens."""
    assert layout.startswith("<s>") and layout.endswith("</s>")
    parts = layout.removeprefix("<s>").removesuffix("</s>").split("</s></s>")
    found = []
    for part in parts:
        pieces = [plain(piece) for piece in part.split("</s>")]
        found.append([token for piece in pieces for token in (EOS, *piece)][1:])
    return found[0], found[1] if len(found) > 1 else None


def whole(first, second):
    return [BOS, *first, EOS] + ([] if second is None else [EOS, *second, EOS])


@pytest.mark.parametrize("case", LAYOUT)
def test_token_ids_of_an_example_are_those_of_the_released_layout(case, letters):
    row, layouts = LAYOUT[case]
    assert encoded(case, row, letters) == [whole(*sides(text, ids)) for text in layouts]


@pytest.mark.parametrize("case", LAYOUT)
def test_a_trained_roberta_vocabulary_gives_the_same_layout(case, roberta):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(roberta))

    def plain(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    row, layouts = LAYOUT[case]
    found = encoded(case, row, tokenizer)
    assert found == [whole(*sides(text, plain)) for text in layouts]
    assert [tokenizer.decode(sequence) for sequence in found] == layouts


def released_truncation(first, second, longest):
    """transformers 4.3.2, ``longest_first``: one token off the longer side; a tie costs B."""
    first, second = list(first), None if second is None else list(second)
    while len(whole(first, second)) > longest:
        (first if second is None or len(first) > len(second) else second).pop()
    return whole(first, second)


def stretched(value, names):
    """Names repeated wherever they stand in a row or a layout."""
    if isinstance(value, dict):
        return {key: stretched(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [stretched(part, names) for part in value]
    for name, times in names.items():
        value = value.replace(name, name * times) if isinstance(value, str) else value
    return value


@pytest.mark.parametrize("case", LAYOUT)
@pytest.mark.parametrize(
    "names", [{"Yan": 60}, {"Zoe": 60}, {"Yan": 60, "Zoe": 60}, {"Yan": 15, "Zoe": 35}], ids=str
)
def test_what_is_too_long_loses_the_tokens_that_the_released_code_takes_off(case, names, letters):
    row, layouts = (stretched(part, names) for part in LAYOUT[case])
    longest = LENGTH[case.split()[0]]
    expected = [sides(text, ids) for text in layouts]
    found = encoded(case, row, letters)
    assert found == [released_truncation(*parts, longest) for parts in expected]
    if any(len(whole(*parts)) > longest for parts in expected):
        assert max(map(len, found)) == longest


def test_no_length_of_the_paper_lets_a_tie_decide_what_is_cut():
    # two sides as long as each other leave an even number of tokens, with four special ones
    assert all(load_task(name).max_length == length for name, length in LENGTH.items())
    assert all(length % 2 == 0 for length in LENGTH.values())


@pytest.mark.parametrize("case", ["hellaswag", "hellaswag (WikiHow)"])
def test_hellaswag_p_drops_both_parts_of_the_context(case):
    row = LAYOUT[case][0]
    (example,) = render(load_task("hellaswag-p"), [row], "rows")
    assert example.pairs == tuple((ending, None) for ending in row["endings"])
    other = row | {"ctx_a": "Else.", "ctx_b": "else", "ctx": "Else. else"}
    assert render(load_task("hellaswag-p"), [other], "rows") == [example]


@pytest.mark.parametrize("gold", range(4))
def test_hella_sh_shuffles_the_words_of_fake_endings_and_nothing_else(gold):
    endings = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i}" for i in range(4)]
    row = STORY | {"label": gold, "endings": endings}
    (plain,) = render(load_task("hellaswag"), [row], "rows")
    (example,) = render(load_task("hella-sh"), [row], "rows")
    assert example.label == plain.label == gold
    for option, ((context, ending), (before, real)) in enumerate(
        zip(example.pairs, plain.pairs, strict=True)
    ):
        assert context == before == "Yan sits."
        # the stub before the ending is context
        assert ending.startswith("he ")
        assert sorted(ending.split()) == sorted(real.split())
        assert (ending == real) == (option == gold)


# ---- labels


@pytest.mark.parametrize("name", LABELS)
def test_labels_have_the_released_ids(name):
    task, row = load_task(name), LAYOUT[name][0]
    for spelling, expected in LABELS[name].items():
        (example,) = render(task, [row | {task.label: spelling}], "rows")
        assert example.label == expected
    with pytest.raises(DataError, match="'maybe'"):
        render(task, [row | {task.label: "maybe"}], "rows")
    assert len(task.labels) == max(len(LABELS[name]), len(LAYOUT[name][1]))


def test_the_gold_ending_of_a_generated_row_is_the_first_and_never_shuffled():
    # [4]: {"ctx", "label": 0, "endings": [gold, g1, g2, g3]}
    drawn = Drawn(
        ctx="c", endings=("gold", "a", "b", "c"), premise_tokens=1, gold_tokens=1,
        fake_tokens=(1, 1, 1), stopped=(False,) * 3, cut=False,
    )  # fmt: skip
    assert drawn.row() == {"ctx": "c", "label": 0, "endings": ["gold", "a", "b", "c"]}
    (example,) = render(load_task("synthesis-gpt2"), [drawn.row()], "rows")
    assert example == Example((("c", "gold"), ("c", "a"), ("c", "b"), ("c", "c")), 0)


@pytest.mark.parametrize(
    ("words", "premise", "gold"),
    [(19, None, None), (20, 10, 9), (25, 12, 12), (30, 15, 14), (80, 15, 14)],
)
def test_a_sentence_is_cut_as_in_the_released_script(words, premise, gold):
    # [4]: .split()[:30], skip below 20; premise words[:n//2], gold words[n//2:-1]
    found = halve(" ".join(["w"] * words))
    assert found is None if premise is None else True
    if found is not None:
        assert (len(found.premise.split()), len(found.gold.split())) == (premise, gold)


# ---- updates


def updates(name, batch_size, warmup_ratio=0.0):
    task = load_task(name)
    return plan_updates(
        rows=task.size.train,
        epochs=task.epochs,
        batch_size=batch_size,
        warmup_ratio=warmup_ratio,
        micro_batch=task.micro_batch,
    )


@pytest.mark.parametrize("name", UPDATES)
def test_a_target_makes_as_many_updates_as_in_the_released_code(name):
    assert tuple(updates(name, batch).total for batch in (8, 16, 32)) == UPDATES[name]


@pytest.mark.parametrize("name", UPDATES)
def test_warmup_is_a_fifth_of_the_updates_rounded_down_or_none(name):
    for batch, total in zip((8, 16, 32), UPDATES[name], strict=True):
        assert updates(name, batch, 0.2).warmup == int(0.2 * total)
        assert updates(name, batch, 0.0).warmup == 0


@pytest.mark.parametrize(("name", "batch_size"), INTERMEDIATE_UPDATES)
def test_an_intermediate_task_makes_as_many_updates_as_in_the_released_code(name, batch_size):
    assert updates(name, batch_size).total == INTERMEDIATE_UPDATES[name, batch_size]


def test_socialiqa_alone_accumulates_micro_batches_of_four():
    for batch, accumulation in ((8, 2), (16, 4), (32, 8)):
        schedule = updates("socialiqa", batch)
        assert (schedule.micro_batch, schedule.accumulation) == (4, accumulation)
    assert {name for name in UPDATES if updates(name, 16).accumulation > 1} == {"socialiqa"}


# ---- sources


@pytest.mark.parametrize("name", TOTAL)
def test_every_source_is_trained_as_in_the_papers_appendix(name):
    sources = bind(load_grid(name), "model").sources.values()
    assert {source.hyperparameters for source in sources} == {SOURCE_TRAINING}


def test_the_three_sizes_of_figure_3_nest(tmp_path):
    sources = bind(load_grid("figure3"), "model").sources.values()
    whole_split = load_task("hellaswag-p").size.train
    assert sorted(source.train_size or whole_split for source in sources) == [*SIZES]
    small, large, everything = (
        sample([Example(((str(i), None),), i % 4) for i in range(SIZES[-1])], size)
        for size in SIZES
    )
    assert (len(small), len(large), len(everything)) == SIZES
    assert set(small) < set(large) < set(everything)


def test_a_subset_of_a_source_is_drawn_from_its_rows_and_its_dev_set_is_whole(tmp_path):
    rows = [
        STORY | {"endings": [f"{i} a", f"{i} b", f"{i} c", f"{i} d"], "label": i % 4}
        for i in range(40)
    ]
    write_jsonl(tmp_path / "hellaswag/hellaswag_train.jsonl", rows)
    write_jsonl(tmp_path / "hellaswag/hellaswag_val.jsonl", rows[:7])
    task = load_task("hellaswag-p")
    parts = [
        load_splits(task.model_copy(update={"train_size": size}), tmp_path)
        for size in (5, 20, None)
    ]
    assert [(len(part.train), len(part.dev)) for part in parts] == [(5, 7), (20, 7), (40, 7)]
    assert set(parts[0].train) < set(parts[1].train) < set(parts[2].train)


# ---- grids, by the dry run of ``submit``


def dry_run(name, tmp_path, capsys, monkeypatch):
    """Cells by (source, target), and the runs of each source and of the synthesis."""
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--grid", name, "--dry-run", "--executor", "local", "--root", str(tmp_path)]
    assert submit(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert list(tmp_path.iterdir()) == []
    start = lines.index("cells to run, by target and source")
    columns = re.split(r"\s{2,}", lines[start + 1].strip())
    cells = {}
    for line in lines[start + 3 : start + 30]:
        target, *numbers = line.split()
        for source, number in zip(columns[1:], numbers, strict=True):
            cells[source, target] = int(number)
        if target == "all":
            break
    table = lines[lines.index("stages, in order") + 3 :]
    rows = [line.split() for line in table]
    trained = {row[1]: int(row[2]) for row in rows if row[0] in ("source", "synthesis")}
    return cells, trained, lines[0]


def expected_cells(name):
    parts = [*PAIRS, *SCORED] if name == "paper" else [name]
    trained = {pair for part in parts for pair in PAIRS.get(part, ())}
    scored = {pair for part in parts for pair in SCORED.get(part, ())}
    pairs = trained | scored
    return {pair: TRIALS * (pair in trained) + (pair in scored) for pair in pairs}


@pytest.mark.parametrize("name", TOTAL)
def test_the_dry_run_of_a_grid_is_the_papers_to_the_cell(name, tmp_path, capsys, monkeypatch):
    expected = expected_cells(name)
    assert sum(expected.values()) == TOTAL[name]
    cells, trained, heading = dry_run(name, tmp_path, capsys, monkeypatch)
    assert f": {TOTAL[name]} cells, 0 done, " in heading
    assert cells.pop(("all", "all")) == TOTAL[name]
    for (source, target), number in cells.items():
        if "all" in (source, target):
            picked = {pair for pair in expected if source in ("all", pair[0])}
            picked = {pair for pair in picked if target in ("all", pair[1])}
            assert number == sum(expected[pair] for pair in picked)
        else:
            assert number == expected.get((source, target), 0)
    assert set(expected) <= set(cells)
    sources = {source for source, _ in expected} - {"none"}
    generated = {"SynthesisGPT2"} if "synthesis-gpt2" in {n for p in expected for n in p} else set()
    assert trained == dict.fromkeys(sources | generated, 1), "each source once, nothing else"
