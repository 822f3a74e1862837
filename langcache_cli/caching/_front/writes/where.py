"""The arguments of a cached function in terms of those of a function that writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Where:
    """What `CachedFunction.where` returns, for `invalidates`.

    Attributes:
        function: The cached function.
        values: By parameter of it a field of the writer such as ``"{word.id}"``, or any other value.
    """

    function: Any
    values: Mapping[str, object]
