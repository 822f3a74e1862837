"""What follows from keys that were drawn at random: the truth lies in the intervals as often as they say."""

import random

import pytest

from langcache_cli.operations.overview.census import OTHERS, Census, Sample, SeenKey

DRAWS = 2_000
ROUNDS = 200


def population(seed: int, keys: int) -> list[SeenKey]:
    """Three types and others' keys; sizes with a long tail."""
    source = random.Random(seed)
    kinds = source.choices(["vocabulary", "translation", "rare", OTHERS], [60, 30, 2, 8], k=keys)
    return [
        SeenKey(b"%d" % number, kind, 1000 * source.randrange(100_000), round(source.lognormvariate(5, 1)))
        for number, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("nodes", [(20_000,), (15_000, 5_000, 1_000)])
@pytest.mark.parametrize("name", ["vocabulary", "translation", "rare", OTHERS])
def test_the_interval_holds_the_truth_in_about_95_of_100_draws(nodes, name):
    populations = [population(seed, keys) for seed, keys in enumerate(nodes)]
    of_type = [one for keys in populations for one in keys if one.type == name]
    true_keys, true_bytes = len(of_type), sum(one.bytes for one in of_type)
    source, held_keys, held_bytes = random.Random(7), 0, 0
    for _ in range(ROUNDS):
        samples = [
            Sample(len(keys), source.choices(keys, k=round(DRAWS * len(keys) / sum(nodes))))
            for keys in populations
        ]
        found = Census(samples, exact=False).of_type(name)
        held_keys += abs(found["keys"] - true_keys) <= found["keys_error"]
        held_bytes += abs(found["bytes"] - true_bytes) <= found["bytes_error"]
    assert held_keys >= 0.9 * ROUNDS
    assert held_bytes >= 0.88 * ROUNDS  # sizes with a long tail: a little less


def test_what_was_counted_has_no_interval():
    keys = population(1, 500)
    census = Census([Sample(500, keys)], exact=True)
    found = census.of_type("vocabulary")
    own = [one for one in keys if one.type == "vocabulary"]
    assert found == {
        "keys": len(own),
        "keys_error": 0,
        "bytes": sum(one.bytes for one in own),
        "bytes_error": 0,
    }
    ends = census.keyspace()["ends"]
    assert sum(one["keys"] for one in ends) == sum(one.type != OTHERS for one in keys)
    assert census.biggest()[0]["bytes"] == max(one.bytes for one in keys if one.type)


def test_nothing_follows_from_nothing():
    census = Census([Sample(10**6, [])], exact=False, problem="NOPERM")
    assert census.of_type("vocabulary") == {"keys": 0, "keys_error": 0, "bytes": 0, "bytes_error": 0}
    assert census.keyspace()["problem"] == "NOPERM"
    assert census.biggest() == []
