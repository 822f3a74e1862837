"""Portions of keys for a script: nothing is lost, none is too large."""

from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._deployment.one_server import KEYS_PER_SCRIPT
from langcache_cli.caching._protocol.scripts import BYTES_PER_RUN, runs


@given(sizes=st.lists(st.integers(0, BYTES_PER_RUN // 2), max_size=3 * KEYS_PER_SCRIPT))
def test_each_key_comes_once_and_in_order_with_what_is_known_of_it(sizes):
    keys = [f"key{number}" for number in range(len(sizes))]
    payloads = [b"x" * size for size in sizes]
    seen = []
    for run in runs(keys, [payloads, sizes], keys_per_run=KEYS_PER_SCRIPT):
        names, rest = run.arguments[: run.n_keys], run.arguments[run.n_keys :]
        seen += zip(names, rest[::2], rest[1::2], strict=True)
        assert 0 < run.n_keys <= KEYS_PER_SCRIPT
        assert run.n_keys == 1 or sum(map(len, rest[::2])) <= BYTES_PER_RUN
    assert seen == list(zip(keys, payloads, sizes, strict=True))


def test_one_that_is_too_large_goes_alone():
    portions = list(runs(["small", "large"], [[b"", b"x" * 2 * BYTES_PER_RUN]], keys_per_run=KEYS_PER_SCRIPT))
    assert [portion.arguments[0] for portion in portions] == ["small", "large"]


def test_a_script_may_want_nothing_but_keys():
    (run,) = runs(["a", "b"], [], keys_per_run=KEYS_PER_SCRIPT)
    assert run.arguments == ("a", "b")
