"""Task files, grids and profiles with a mistake in them: told in a line, or read as written."""

import json
import math
import tomllib
from pathlib import Path

from launcher.cluster.profile import read_profile
from launcher.submit import main as submit
from stilt.errors import ConfigError
from tests.faults.inputs.conftest import MODEL
from tests.support.judged import complaints, ended, survey
from tests.support.mutations import (
    ONLY_TOML,
    Mutation,
    mutated_bytes,
    mutated_table,
    replace_file,
    shown,
    toml_text,
)

PROFILE = {
    "account": "nlp",
    "partition": "gpu",
    "qos": "long",
    "gres": "gpu:a100:1",
    "constraint": "a100&fast",
    "exclude": "node[1-3]",
    "time": "4:00:00",
    "memory": "32G",
    "cpus": 8,
    "workers_per_gpu": 2,
    "parallel": 40,
    "array_size": 100,
    "signal_seconds": 60,
    "max_timeouts": 5,
    "setup": ["module load cuda", "export A=1"],
    "extra": {"mail-type": "FAIL", "nice": 5, "exclusive": True},
}


def spoil(rng, path: Path) -> Mutation:
    """Puts one mistake in a TOML file: in its table, its bytes, or in what lies at its place."""
    chance = rng.random()
    if chance < 0.06:
        return Mutation(replace_file(rng, path), None)
    if chance < 0.3:
        made = mutated_bytes(rng, path.read_bytes())
        path.write_bytes(made.content)
        return made
    made = mutated_table(rng, tomllib.loads(path.read_text()), ONLY_TOML)
    path.write_text(toml_text(made.content), encoding="utf-8", errors="surrogatepass")
    return made


def reading(path: Path):
    """What Python makes of a file, without a byte order mark; None where it is no TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def same(written, kept) -> bool:
    """Whether a value was taken as written: 1 may stand for 1.0, one spelling for a list."""
    if isinstance(written, bool) or isinstance(kept, bool):
        return written is kept
    if isinstance(written, (int, float)) and isinstance(kept, (int, float)):
        return math.isfinite(written) and written == kept
    if isinstance(written, list) and isinstance(kept, list):
        return len(written) == len(kept) and all(map(same, written, kept))
    if isinstance(written, dict) and isinstance(kept, dict):
        return all(key in kept and same(value, kept[key]) for key, value in written.items())
    if isinstance(written, str) and isinstance(kept, list):
        return kept == [written]
    if isinstance(written, str) and isinstance(kept, dict):
        return kept.get("task") == written
    return type(written) is type(kept) and written == kept


def unlike(table, kept, without=()) -> list[str]:
    """Fields of a file that were not taken as they were written."""
    return [
        f"{key} = {shown(value)} was taken as {shown(kept.get(key))}"
        for key, value in table.items()
        if key not in without and not same(value, kept.get(key))
    ]


def begin(own: Path):
    """The submit of the user's grid, up to where workers would start."""
    places = ["--root", own / "logs", "--data-dir", own / "data", "--model", MODEL]
    return ended(submit, ["--grid", own / "own.toml", "--executor", "local", *places])


def named(made: Mutation, name: str, table) -> list[str]:
    """What a message must name of a mistake: the file, and the field where there is one."""
    in_field = table is not None and made.field.isidentifier()
    return [name, made.field[:40]] if in_field else [name]


def test_a_task_file_is_refused_by_its_name_and_field_or_taken_as_it_is(seeds, fresh):
    def case(rng):
        own = fresh()
        path = own / f"{rng.choice(('pairs', 'endings'))}.toml"
        made = spoil(rng, path)
        end = begin(own)
        # of a path that leads nowhere, the path is named
        elsewhere = isinstance(made.value, str) and made.value and made.value in end.err
        found = complaints(end, named=[made.value if elsewhere else path.stem])
        if end.code == 0:
            study = json.loads((own / "logs/own/study.json").read_text())
            table = reading(path)
            found += unlike(table, study["tasks"][path.stem], ("extends", "without"))
        return [f"{path.name} {made.what}: {one}" for one in found]

    survey(seeds, "task", case)


def product(block) -> int:
    """Cells of a block, by the lengths of its axes."""
    axes = ("sources", "targets", "learning_rate", "batch_size", "warmup_ratio", "seed")
    return math.prod(len(block[axis]) for axis in axes) * math.prod(
        len(block[axis]) for axis in ("init_seed", "order_seed") if axis in block
    )


def test_a_grid_is_refused_by_its_name_and_field_or_taken_as_it_is(seeds, fresh):
    def case(rng):
        own = fresh()
        path = own / "own.toml"
        made = spoil(rng, path)
        end = begin(own)
        found = complaints(end, named=named(made, "own", reading(path)))
        if end.code == 0:
            (study_file,) = (own / "logs").glob("*/study.json")
            grid, table = json.loads(study_file.read_text())["grid"], reading(path)
            block = {key: table.pop(key) for key in list(table) if key in grid["blocks"][0]}
            found += unlike(block, grid["blocks"][0])
            found += unlike(table, grid, ("include", "model"))
            dry = ended(submit, ["--grid", path, "--dry-run", "--root", own / "none"])
            count = product(block)
            if f": {count} cells" not in dry.out and "seeds" not in table.get("source", {}):
                found.append(f"not {count} cells: {dry.out[:200]}{dry.err[:200]}")
        return [f"{made.what}: {one}" for one in found]

    survey(seeds, "grid", case)


def test_a_profile_is_refused_by_its_name_and_field_or_taken_as_it_is(seeds, fresh):
    def case(rng):
        own = fresh()
        path = own / "cluster.toml"
        path.write_text(toml_text(PROFILE))
        made = spoil(rng, path)
        places = ["--root", own / "logs", "--model", MODEL, "--data-dir", own / "data"]
        end = ended(submit, ["--grid", own / "own.toml", "--dry-run", "--profile", path, *places])
        found = complaints(end, named=named(made, str(path), reading(path)))
        if end.code == 0:
            kept = read_profile(path).model_dump(mode="json")
            extra = reading(path)
            found += unlike(extra, kept, ("time", "memory", "extra"))
        return [f"{made.what}: {one}" for one in found]

    survey(seeds, "profile", case)


def test_a_profile_that_is_right_is_taken(fresh):
    own = fresh()
    (own / "cluster.toml").write_text(toml_text(PROFILE))
    assert read_profile(own / "cluster.toml").time == 240
    try:
        read_profile(own / "nowhere.toml")
    except ConfigError as error:
        assert "nowhere.toml" in str(error)
