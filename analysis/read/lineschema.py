"""A pydantic record -> what polars needs to read and check many of them: types and limits.

Derived, not written out, so that a field added to ``stilt.records.results`` is read too.
"""

import types
from collections.abc import Iterator
from typing import Literal, Union, get_args, get_origin

import polars as pl
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import TypeIs

DataType = pl.DataType | type[pl.DataType]


def line_types(model: type[BaseModel], whole: DataType = pl.Int64) -> dict[str, DataType]:
    """Column types of a model's JSON lines; fields that hold free tables are left out.

    Args:
        model: of one line.
        whole: type of whole numbers. Lines are to be parsed with ``Float64``, checked, and then
            cast: polars would cut a fraction off where it expects none.
    """
    found = {name: _type(field.annotation, whole) for name, field in model.model_fields.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def line_limits(model: type[BaseModel]) -> pl.Expr:
    """Whether a row of a frame with ``line_types`` is within the model's limits: never null."""
    return _all(_checks(model, None))


def _type(annotation: object, whole: DataType) -> DataType | None:
    inner, _ = _unwrap(annotation)
    simple: dict[object, DataType] = {
        int: whole,
        float: pl.Float64,
        str: pl.String,
        bool: pl.Boolean,
    }
    if inner in simple:
        return simple[inner]
    if get_origin(inner) is Literal:
        return simple[type(get_args(inner)[0])]
    if get_origin(inner) is tuple:
        item = _type(get_args(inner)[0], whole)
        return pl.List(item) if item is not None else None
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return pl.Struct(line_types(inner, whole))
    return None


def _unwrap(annotation: object) -> tuple[object, bool]:
    """An annotation without ``| None``, and whether it had it."""
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [part for part in get_args(annotation) if part is not type(None)]
        if len(kept) == 1:
            return kept[0], len(kept) < len(get_args(annotation))
    return annotation, False


def _all(checks: Iterator[pl.Expr]) -> pl.Expr:
    return pl.all_horizontal([check.fill_null(value=False) for check in checks])


def _checks(model: type[BaseModel], parent: pl.Expr | None) -> Iterator[pl.Expr]:
    for name, field in model.model_fields.items():
        column = pl.col(name) if parent is None else parent.struct.field(name)
        inner, optional = _unwrap(field.annotation)
        if _type(inner, pl.Int64) is None:
            continue
        absent = pl.lit(value=False) if parent is None else parent.is_null()
        if not optional:
            yield absent | column.is_not_null()
        for check in _field_checks(inner, field, column):
            yield absent | column.is_null() | check
        if _is_model(inner):
            yield from _checks(inner, column)


def _field_checks(inner: object, field: FieldInfo, column: pl.Expr) -> Iterator[pl.Expr]:
    if get_origin(inner) is Literal:
        yield pl.any_horizontal([column == pl.lit(value) for value in get_args(inner)])
    if inner in (int, float):
        yield column.is_finite()
    if inner is int:
        yield column == column.floor()
    if get_origin(inner) is tuple and _is_model(item := get_args(inner)[0]):
        yield column.list.eval(_all(_checks(item, pl.element()))).list.all()
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


def _is_model(annotation: object) -> TypeIs[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
