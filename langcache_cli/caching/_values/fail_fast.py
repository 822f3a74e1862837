"""Validation that ends at the first item that does not fit.

pydantic goes on and describes every other one, too: 30 MB of JSON of another type become gigabytes of errors.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic_core import CoreSchema, core_schema

_MAKERS = {
    "list": core_schema.list_schema,
    "tuple": core_schema.tuple_schema,
    "set": core_schema.set_schema,
    "frozenset": core_schema.frozenset_schema,
    "dict": core_schema.dict_schema,
}
_KINDS = {kind for kind, maker in _MAKERS.items() if "fail_fast" in inspect.signature(maker).parameters}  # type: ignore[arg-type]
_INNER = ("schema", "items_schema", "values_schema")


def fail_fast(schema: CoreSchema) -> CoreSchema:
    """A schema whose lists, tuples, sets and dicts fail at their first wrong item; not those in classes."""
    return _fail_fast(schema)  # type: ignore[no-any-return] # a schema is a dict of any of fifty types


def _fail_fast(schema: Any) -> Any:
    kind = schema["type"]
    if kind not in _MAKERS and kind not in {"nullable", "union", "definitions"}:
        return schema
    changed = {**schema, "fail_fast": True} if kind in _KINDS else {**schema}
    for name in _INNER:
        if isinstance(schema.get(name), dict):
            changed[name] = _fail_fast(schema[name])
    if kind == "union":
        changed["choices"] = [
            (_fail_fast(one[0]), *one[1:]) if isinstance(one, tuple) else _fail_fast(one)
            for one in schema["choices"]
        ]
    return changed
