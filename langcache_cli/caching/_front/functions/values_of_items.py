"""The values of single items in what a function for many items returned."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from langcache_cli.caching._near.immutable_values import size_if_immutable

_NO_SEQUENCES_OF_VALUES = (str, bytes, bytearray, memoryview)


def values_of_items(returned: Any, items: Sequence[Any], function: str) -> list[Any]:
    """The value of each item, in their order.

    Args:
        returned: A sequence of values in the order of the items, or a mapping from items to values.
        items: What the function was called with.
        function: Its name, for messages.

    Raises:
        TypeError: It is neither, so that which value belongs to which item is unknown.
        ValueError: There are more or fewer values than items, or one of them has none.
    """
    if isinstance(returned, Mapping):
        return _by_item(returned, items, function)
    if not isinstance(returned, Sequence) or isinstance(returned, _NO_SEQUENCES_OF_VALUES):
        raise TypeError(
            f"{function} must return a list of the values in the order of its items, or a dictionary of the "
            f"values by item, not a {type(returned).__qualname__}"
        )
    if len(returned) != len(items):
        raise ValueError(f"{function} returned {len(returned)} values for {len(items)} items")
    return list(returned)


def _by_item(returned: Mapping[Any, Any], items: Sequence[Any], function: str) -> list[Any]:
    # 1 and True have keys of their own in the cache, and one in a dictionary.
    if len(set(items)) < len(items):
        raise TypeError(f"{function} must return a list: a dictionary cannot tell equal items apart")
    missing = [item for item in items if item not in returned]
    if missing:
        raise ValueError(
            f"{function} returned values for {len(items) - len(missing)} of {len(items)} items; "
            "use None, or an exception, for an item that has none"
        )
    return [returned[item] for item in items]


def unshared(values: list[Any], keys: Sequence[str]) -> list[Any]:
    """The values with copies in the places of repeated items, unless they are immutable."""
    seen: set[str] = set()
    if len(set(keys)) == len(keys):
        return values
    for place, key in enumerate(keys):
        if key in seen and size_if_immutable(values[place]) is None:
            values[place] = copy.deepcopy(values[place])
        seen.add(key)
    return values
