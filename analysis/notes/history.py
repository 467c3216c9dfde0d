"""Which revision of its study a table is of, and whether the study grew after it was looked at."""

from stilt.study import Revision, Study


def title(study: Study) -> str:
    """The revision that a table is of, as ``Revision 3 of 2026-11-30.``; empty for the first."""
    if study.revision == 1:
        return ""
    return f"Revision {study.revision} of {_day(study.revisions[-1].when)}."


def history(study: Study) -> list[str]:
    """Lines on how a study came to be what it is; none for one that never changed."""
    later = study.revisions[1:]
    told = [f"Revision {one.number} of {_day(one.when)}: {_change(one)}." for one in later]
    if seen := [one for one in later if one.looked is not None and _decides(one)]:
        when = ", ".join(
            f"{_moment(one.looked or '')} before revision {one.number}" for one in seen
        )
        told.append(
            f"Planned after a look: results were summarised ({when}), and cells came or went "
            "afterwards; what is said of these was not planned before any result was known."
        )
    return told


def _change(one: Revision) -> str:
    return "; ".join(filter(None, (one.came, one.went)))


def _decides(one: Revision) -> bool:
    """Whether cells came or went with a revision."""
    return bool(one.went) or not one.came.startswith("no other runs")


def _day(when: str) -> str:
    return when[:10]


def _moment(when: str) -> str:
    return when[:16].replace("T", " ")
