"""What differs between two configurations, by the path of each field."""

import json
from collections.abc import Iterator
from typing import Any

MOST = 10
"""Differences that are listed; of more there is the number."""
WIDEST = 60
"""Characters of a value that are shown."""

_ABSENT = object()


def differences(old: Any, new: Any) -> str:
    """Lists what differs between two JSON values, as ``tasks.wic.epochs: 1 -> 2`` a line."""
    found = [f"{path}: {_shown(a)} -> {_shown(b)}" for path, a, b in _changed("", old, new)]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "\n".join(f"  {line}" for line in found[:MOST] + more)


def _changed(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _changed(inner, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif _tables(old) and _tables(new) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _changed(f"{path}[{place}]", one, other)
    elif old != new:
        yield path, old, new


def _tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
