"""A pydantic record -> what polars needs to read and check many of them: types and limits.

Derived, not written out, so that a field added to ``stilt.results`` is read and checked here too.
"""

import types
from collections.abc import Iterator
from typing import Literal, Union, get_args, get_origin

import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Types = dict[str, pl.DataType | type[pl.DataType]]

_SIMPLE: dict[object, type[pl.DataType]] = {
    int: pl.Int64,
    float: pl.Float64,
    str: pl.String,
    bool: pl.Boolean,
}


def line_types(model: type[BaseModel]) -> Types:
    """Column types of a model's JSON lines; fields that hold free tables are left out."""
    found = {name: _type(field.annotation) for name, field in model.model_fields.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def line_limits(model: type[BaseModel]) -> pl.Expr:
    """Whether a row of a frame with ``line_types`` is within the model's limits: never null."""
    checks = [check.fill_null(value=False) for check in _checks(model, None)]
    return pl.all_horizontal(checks)


def _type(annotation: object) -> pl.DataType | type[pl.DataType] | None:
    inner, _ = _unwrap(annotation)
    if inner in _SIMPLE:
        return _SIMPLE[inner]
    if get_origin(inner) is Literal:
        return _SIMPLE[type(get_args(inner)[0])]
    if get_origin(inner) is tuple:
        item = _type(get_args(inner)[0])
        return pl.List(item) if item is not None else None
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return pl.Struct(line_types(inner))
    return None


def _unwrap(annotation: object) -> tuple[object, bool]:
    """An annotation without ``| None``, and whether it had it."""
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [part for part in get_args(annotation) if part is not type(None)]
        if len(kept) == 1:
            return kept[0], len(kept) < len(get_args(annotation))
    return annotation, False


def _checks(model: type[BaseModel], parent: pl.Expr | None) -> Iterator[pl.Expr]:
    for name, field in model.model_fields.items():
        column = pl.col(name) if parent is None else parent.struct.field(name)
        inner, optional = _unwrap(field.annotation)
        if _type(inner) is None:
            continue
        absent = pl.lit(value=False) if parent is None else parent.is_null()
        if not optional:
            yield absent | column.is_not_null()
        for check in _field_checks(inner, field, column):
            yield absent | column.is_null() | check
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _checks(inner, column)


def _field_checks(inner: object, field: FieldInfo, column: pl.Expr) -> Iterator[pl.Expr]:
    if get_origin(inner) is Literal:
        yield column.is_in(list(get_args(inner)))
    if inner is float:
        yield column.is_finite()
    for limit in field.metadata:
        match limit:
            case Ge(ge=bound):
                yield column >= pl.lit(bound)
            case Gt(gt=bound):
                yield column > pl.lit(bound)
            case Le(le=bound):
                yield column <= pl.lit(bound)
            case Lt(lt=bound):
                yield column < pl.lit(bound)
            case _:
                pass
