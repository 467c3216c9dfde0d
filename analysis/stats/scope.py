"""What an interval and its p generalise to, in words: what was resampled, and what was held fixed.

A number with an interval speaks of other data than those that it was computed from. Which ones is
said wherever it stands: in heads by two short words, in captions by a sentence.
"""

from typing import get_args

from analysis.flags import Scope as Scope

SCOPES: tuple[Scope, ...] = get_args(Scope)

NEW, THIS = "new dev", "this dev"
"""What stands in heads: generalises to new dev examples, or holds for these alone."""

HEADS: dict[Scope, str] = {"whole": NEW, "narrow": THIS}

FIXED = "these dev examples and source checkpoints"
"""What everything holds fixed that resamples or swaps configurations alone."""

THIS_MEANS = f"'{THIS}': for {FIXED}; it generalises to other configurations and seeds alone."


def generalises(scope: Scope, source_seeds: int = 1) -> str:
    """What an interval of a mean difference, and its p, speak of.

    Args:
        scope: whether dev examples were resampled.
        source_seeds: checkpoints of the source, which are resampled where there are several and
            dev examples are.
    """
    if scope == "narrow":
        return f"other configurations and seeds, for {FIXED}"
    if source_seeds > 1:
        return "new dev examples, configurations, seeds and source seeds"
    return "new dev examples, configurations and seeds, for this source checkpoint"


def meaning(scope: Scope) -> str:
    """The words in heads of mean differences, explained for a caption."""
    if scope == "narrow":
        return THIS_MEANS
    return (
        f"'{NEW}': generalises to new dev examples, configurations and seeds; the source's "
        "checkpoint is fixed."
    )
