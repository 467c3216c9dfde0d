"""What a summary can be asked for, as flags and as arguments.

Nothing here takes long to import: ``--help`` needs all of it, and nothing else of this package.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typing_extensions import Doc

Format = Literal["table", "markdown", "latex", "csv", "json"]
"""Of what is printed."""

Definition = Literal["auto", "majority", "margin", "constant", "loss"]
"""Of a degenerate run, see ``analysis.stats.degenerate``."""

DEFAULT: Definition = "auto"

Scope = Literal["whole", "narrow"]
"""``whole``: dev examples are resampled, too; ``narrow``: they are held fixed."""

Report = Literal["figure2", "figure3", "table2", "table3", "table4", "ablations"]
"""Tables and figures of the paper."""


@dataclass(frozen=True)
class Wanted:
    """Flags of a command that say what is written of predictions."""

    predictions: Annotated[
        bool,
        Doc(
            "also write predictions.parquet: a row for each cell and dev row, with gold label, "
            "prediction and the row's texts where its data is still found."
        ),
    ] = False
    data_dir: Annotated[
        Path | None,
        Doc(
            "folder of local data files that these texts are in; by default STILT_DATA_DIR, else "
            "where the study found them."
        ),
    ] = None
    credentialed: bool = False
    """also copy texts that nobody may read without credentials (MedNLI) into that file."""


NO_PREDICTIONS = Wanted()
