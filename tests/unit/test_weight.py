"""What makes a value large: how many objects it consists of."""

from typing import Any

import pytest

from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.large import weight
from tests.unit.large_value_cases import LARGE, NAMES, Book, Item, Page, items, page

pytestmark = pytest.mark.usefixtures("everything_is_large")


class TestWeight:
    def test_it_counts_what_a_value_consists_of(self):
        assert weight.weight(([1, [2, 3]],)) == 5
        assert weight.weight(({"a": {"b": 1}},)) == 3
        assert weight.weight((Item(id=1),)) == 4
        assert weight.weight((Book("a"),)) == 5

    def test_it_ends_early(self):
        assert weight.weight(([0] * 1_000_000,)) == weight.HEAVY + 1
        circle: list[Any] = []
        circle.append(circle)
        assert weight.weight((circle,)) == weight.HEAVY + 1

    @pytest.mark.parametrize("annotation", [int, bytes, None, Item, Item | None])
    def test_values_of_some_types_are_never_large(self, annotation):
        assert weight.heavy_test(annotation) is None

    @pytest.mark.parametrize(("annotation", "value"), LARGE, ids=NAMES)
    def test_large_and_small_values_are_told_apart(self, annotation, value):
        is_heavy = weight.heavy_test(annotation)
        assert is_heavy is not None
        assert not is_heavy(value)
        assert not is_heavy(None)

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (list[int], [1] * 5000),
            (list[Item] | None, items(1500)),
            (Any, {"a": [1] * 5000}),
            (Page, page(1000)),
            (dict[str, list[int]], {str(i): [1] * 50 for i in range(100)}),
        ],
    )
    def test_many_parts_are_large(self, annotation, value):
        assert Codec(annotation).is_large(value)
