"""What explains a low hit rate, and the keys of others."""

from langcache_cli.caching.tooling import Numbers
from langcache_cli.operations.overview.census import OTHERS, OWN, Census, Sample, SeenKey
from langcache_cli.operations.statistics.reasons import MEANINGS, OtherKeys, other_keys, reasons


def seen(key: bytes, kind: str = OTHERS) -> SeenKey:
    return SeenKey(key, kind, -1, 0)


def test_only_what_is_not_0_is_a_reason():
    assert list(reasons(Numbers({"hits": 9}), {}, evicted=(0, ""), other_keys=OtherKeys())) == []
    words, texts = Numbers({"load_errors": 2, "refused": 1}), Numbers({"load_errors": 5})
    total = Numbers({"load_errors": 7, "refused": 1})
    others = OtherKeys(4, {"x": 1})
    evicted = (3, "since Redis started")
    found = list(reasons(total, {"a": words, "b": texts}, evicted=evicted, other_keys=others))
    assert [(one.name, one.count, dict(one.parts)) for one in found] == [
        ("load_errors", 7, {"b": 5, "a": 2}),
        ("refused", 1, {"a": 1}),
        ("evicted_keys", 3, {}),
        ("other_keys", 4, {"namespace x": 1}),
    ]
    assert found[2].meaning.endswith("(since Redis started)")


def test_every_reason_has_a_meaning():
    total = Numbers(dict.fromkeys(MEANINGS, 1))
    found = list(reasons(total, {"a": total}, evicted=(0, ""), other_keys=OtherKeys()))
    assert [one.name for one in found] == [*MEANINGS]
    assert all(one.meaning[0].islower() and not one.meaning.endswith(".") for one in found[:3])


def test_other_namespaces_are_known_by_their_counters():
    keys = [b"shop:vocabulary:f:1", b"shop:vocabulary:f:2", b"shop@stats:{0}:1m:0", b"celery:1", b"shop"]
    census = Census([Sample(6, [*map(seen, keys), seen(b"cache@tag:x", OWN)])], exact=True)
    assert other_keys(census) == OtherKeys(5, {"shop": 3}, is_estimate=False)


def test_of_many_keys_the_others_are_estimated_node_by_node():
    big = Sample(9_000, [seen(b"shop:a"), seen(b"shop@tag:b"), seen(b"cache:c", "vocabulary")])
    small = Sample(300, [seen(b"shop:d")] * 3)
    assert other_keys(Census([big, small, Sample(5, [])], exact=False)) == OtherKeys(
        6_300, {"shop": 3_300}, is_estimate=True
    )
