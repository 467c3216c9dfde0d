"""Generic resources are read in every spelling of SLURM's, and by one reader alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilt.slurm.resources import as_sbatch_takes_it, gpu_number, holds, resources, tracked_gpus
from tests.test_architecture import MODULES, ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # sbatch
        ("gpu", {("gpu", ""): 1}),
        ("gpu:2", {("gpu", ""): 2}),
        ("gpu:a100", {("gpu", "a100"): 1}),
        ("gpu:3090:1", {("gpu", "3090"): 1}),
        ("gpu:3090", {("gpu", ""): 3090}),
        ("gpu:1g.5gb:2", {("gpu", "1g.5gb"): 2}),
        ("gpu:1g.10gb+me", {("gpu", "1g.10gb+me"): 1}),
        ("gpu:nvidia_a100-sxm4-80gb:8", {("gpu", "nvidia_a100-sxm4-80gb"): 8}),
        ("gpu:a100:1,gpu:v100:2", {("gpu", "a100"): 1, ("gpu", "v100"): 2}),
        ("shard:1", {("shard", ""): 1}),
        ("mps:50", {("mps", ""): 50}),
        ("gres:gpu:1", {("gpu", ""): 1}),
        ("gres/gpu:1", {("gpu", ""): 1}),
        ("gres/gpu:3090:1", {("gpu", "3090"): 1}),
        # slurm.conf
        ("gpu:tesla:2,mps:400", {("gpu", "tesla"): 2, ("mps", ""): 400}),
        ("bandwidth:lustre:no_consume:4G", {("bandwidth", "lustre"): 4 * 1024**3}),
        ("lustre:no_consume:2k", {("lustre", ""): 2048}),
        # sinfo
        ("gpu:a100:4(S:0-1)", {("gpu", "a100"): 4}),
        ("gpu:2(IDX:0,1)", {("gpu", ""): 2}),
        ("gpu:a100:2(IDX:0,3),shard:8(S:0)", {("gpu", "a100"): 2, ("shard", ""): 8}),
        # sacct: what has no type is the total
        ("gres/gpu=2", {("gpu", ""): 2}),
        ("gres/gpu:a100=1", {("gpu", "a100"): 1}),
        ("gres/gpu=3,gres/gpu:a100=1,gres/gpu:v100=1", {
            ("gpu", ""): 1, ("gpu", "a100"): 1, ("gpu", "v100"): 1
        }),
        *((text, {}) for text in ("", "(null)", "N/A", "none")),
    ],
)  # fmt: skip
def test_each_spelling_is_read(text, expected):
    assert +resources(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("gpu:", "gpu::1", ":1", "2", "3090", "gpu:a:b:1", "gpu:a:b", "gpu 1"),
        *("gpu;1", "gpu=1=2"),
        *("gpu:-1", "gpu:1.5:", "gpu,,shard:1", ",", "no_consume:", "gpu:a?:1", "gpu=a", "gpu="),
        "٣",
    ],
)
def test_what_is_none_of_them_is_not_understood(text):
    assert resources(text) is None


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("none", "no_consume", "gres")
)
TYPES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,8}", fullmatch=True).filter(
    lambda kind: kind != "no_consume"
)
WANTED = st.dictionaries(
    st.tuples(NAMES, st.one_of(st.just(""), TYPES, st.from_regex(r"[0-9]{1,5}", fullmatch=True))),
    st.integers(1, 400),
    min_size=1,
    max_size=4,
)


def written(wanted, first="", tail=""):
    parts = (
        ":".join(filter(None, (f"{first}{name}", kind, str(number)))) + tail
        for (name, kind), number in wanted.items()
    )
    return ",".join(parts)


@given(WANTED)
def test_what_sbatch_nodes_queue_and_accounting_write_of_the_same_reads_the_same(wanted):
    tracked = [f"gres/{name}:{kind}={n}" for (name, kind), n in wanted.items() if kind]
    names = {name for name, _ in wanted}
    totals = {name: sum(n for (other, _), n in wanted.items() if other == name) for name in names}
    tracked += [f"gres/{name}={number}" for name, number in totals.items()]
    spellings = [
        written(wanted),
        written(wanted, tail="(S:0-1)"),
        written(wanted, tail="(IDX:0,2-3)"),
        written(wanted, "gres:"),
        written(wanted, "gres/"),
        as_sbatch_takes_it(written(wanted, "gres/")),
        ",".join(tracked),
    ]
    assert [+resources(text) for text in spellings] == [wanted] * len(spellings)


@given(st.text(max_size=30))
def test_no_text_whatever_breaks_the_reader(text):
    found = resources(text)
    assert found is None or all(number >= 0 for number in found.values())
    assert tracked_gpus(text) >= 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("billing=1,cpu=4,gres/gpu=2,mem=8G", 2),
        ("cpu=4,gres/gpu=2,gres/gpu:a100=2", 2),
        ("gres:gpu:1", 1),
        ("gres/gpu:a100:4", 4),
        ("gpu:a100:1,gpu:2", 3),
        ("gpu", 1),
        ("billing=2,cpu=2,gres/shard=8,mem=8G", 1),
        ("N/A", 0),
        ("billing=1,cpu=1,node=1", 0),
        ("gres/gpu:a:b=1", 0),
    ],
)
def test_gpus_of_a_job_are_counted_in_every_spelling(text, expected):
    assert tracked_gpus(text) == expected


@pytest.mark.parametrize(
    ("has", "wanted", "enough"),
    [
        ("gpu:a100:4", "gpu:4", True),
        ("gpu:a100:4", "gpu:5", False),
        ("gpu:A100:4", "gpu:a100:1", True),
        ("gpu:a100:4", "gpu:v100:1", False),
        ("gpu:a100:2,gpu:v100:2", "gpu:3", True),
        ("gpu:1", "shard:1", False),
        ("gpu:1", "gpu:0", True),
    ],
)
def test_a_node_has_what_is_wanted(has, wanted, enough):
    assert holds(resources(has), resources(wanted)) is enough


def test_a_share_of_a_gpu_is_that_gpu_s():
    assert [gpu_number(resources(text)) for text in ("shard:4", "mps:50", "gpu:2,mps:50")] == [
        1,
        1,
        2,
    ]
    assert gpu_number(resources("lscratch:100")) == 0


def test_nothing_else_in_the_code_reads_them():
    for path in MODULES:
        if path.as_posix() != "stilt/slurm/resources.py":
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not re.search(r"split\(\":\"\)|gres\[:/\]|gpu\[:", text), path
