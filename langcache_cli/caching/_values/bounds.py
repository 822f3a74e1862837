"""Constraints of pydantic that check a value and do not change it."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

_COMPARISONS = {
    annotated_types.Gt: ("gt", ">"),
    annotated_types.Ge: ("ge", ">="),
    annotated_types.Lt: ("lt", "<"),
    annotated_types.Le: ("le", "<="),
}
_LENGTHS = {annotated_types.MinLen: ("min_length", ">="), annotated_types.MaxLen: ("max_length", "<=")}
_WITH_LENGTH = (str, list, tuple, dict, set, frozenset, bytes)


def bound(constraint: Any, annotation: Any, value: str) -> str | None:
    """Source text of the condition that a value keeps a constraint.

    Args:
        constraint: Metadata of an `Annotated` type or of a field.
        annotation: The type that it constrains.
        value: Source text of the value, which is of exactly that type.

    Returns:
        Empty for a constraint that is none; None for one that is not understood.
    """
    if isinstance(constraint, str):
        return ""
    if type(constraint) is FieldInfo:
        return _of_field(constraint, annotation, value)
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    present = [one for one in members if one is not None and one is not NoneType]
    condition = _condition(constraint, present[0], value) if len(present) == 1 else None
    if condition is None or len(present) == len(members):
        return condition
    return f"({value} is None or {condition})"


def _condition(constraint: Any, kind: Any, value: str) -> str | None:
    if type(constraint) in _COMPARISONS and kind in (int, float):
        name, operator = _COMPARISONS[type(constraint)]
        limit = getattr(constraint, name)
        return f"{value} {operator} {limit!r}" if type(limit) is int else None
    if type(constraint) in _LENGTHS and (get_origin(kind) or kind) in _WITH_LENGTH:
        name, operator = _LENGTHS[type(constraint)]
        return f"len({value}) {operator} {getattr(constraint, name):d}"
    return None


def _of_field(field: FieldInfo, annotation: Any, value: str) -> str | None:
    """The conditions of ``Annotated[..., Field(...)]``, if that says nothing else."""
    if field.discriminator is not None or field.alias is not None or not field.is_required():
        return None
    parts = [bound(one, annotation, value) for one in field.metadata]
    return None if None in parts else " and ".join(filter(None, parts))
