"""What was chosen for a study, in words: all that its numbers depend on, besides its tasks."""

from analysis.stats.degenerate import DEFINITIONS, Definition
from analysis.tables.presentation import number
from stilt.grid import SourceSpec
from stilt.study import Study

HEADS = {
    "learning_rate": "Learning rate",
    "batch_size": "Batch",
    "warmup_ratio": "Warmup",
    "seed": "Seed",
    "init_seed": "Init seed",
    "order_seed": "Order seed",
}
"""Hyperparameters that are columns of the frame of cells, and their names for people."""


def choices(study: Study, definition: Definition) -> list[tuple[str, str]]:
    """Lists choices as pairs of what and how."""
    grid = study.grid
    seeds = dict.fromkeys(source.hyperparameters.seed for source in study.sources.values())
    found = [
        ("Model", f"{grid.model.name} ({study.model_identity})"),
        ("Recipe", grid.recipe),
        (
            "Scoring head of a source",
            "carried over where names and shapes allow"
            if grid.head == "keep"
            else "left behind: everything after the encoder starts anew",
        ),
        (
            "Training of sources",
            f"learning rate {number(grid.source.learning_rate)}, batch size "
            f"{grid.source.batch_size}, warmup ratio {number(grid.source.warmup_ratio)}, "
            f"seeds {', '.join(map(str, seeds or grid.source.seeds))}",
        ),
        ("Degenerate run", f"{DEFINITIONS[definition]}, or a non-finite loss"),
    ]
    for place, block in enumerate(grid.blocks, start=1):
        axes = [
            f"{head.lower()} {{{', '.join(map(number, values))}}}"
            for name, head in HEADS.items()
            if (values := getattr(block, name))
        ]
        name = f"Grid, block {place}" if len(grid.blocks) > 1 else "Grid"
        sources, targets = _named(block.sources), ", ".join(block.targets)
        found.append((name, f"{sources} × {targets} × {' × '.join(axes)}"))
    for evaluation in grid.evaluate:
        tasks = ", ".join(evaluation.tasks)
        names = _named(evaluation.sources)
        found.append(("Scored without training", f"{names} × {tasks}, seed {evaluation.seed}"))
    if grid.synthesis is not None:
        made = grid.synthesis
        found.append(
            (
                "Synthesis",
                f"{made.sentences:,} rows from {made.text} by {made.generator.name}, top-p "
                f"{number(made.top_p)}, seed {made.seed}",
            )
        )
    return found


def _named(specs: tuple[SourceSpec, ...]) -> str:
    """Sources of a grid as they stand in its file."""
    names = (
        spec.task + (f"@{spec.train_size}" if spec.train_size else "")
        for spec in specs
        if not spec.is_none
    )
    return ", ".join([*(["None"] if any(spec.is_none for spec in specs) else []), *names])
