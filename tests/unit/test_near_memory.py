"""The memory of the near cache: bounded, and free of entries that may have changed."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from langcache_cli.caching._near.memory import MAX_CHANGES, OVERHEAD_BYTES, TAG_BYTES, NearMemory

ROOM = 10_000


def keep(
    near: NearMemory, key: str, *tags: str, generation: int | None = None, expires_at: float = 10.0
) -> None:
    near.keep(
        (key, *tags),
        b"[1]",
        [1],
        expires_at=expires_at,
        generation=near.generation if generation is None else generation,
    )


def test_an_entry_is_found_until_it_expires():
    near = NearMemory(ROOM)
    keep(near, "a", expires_at=10.0)
    assert near.get("a", 9.9).payload == b"[1]"
    assert near.get("a", 10.0) is None
    assert (len(near), near.n_bytes) == (0, 0)


def test_the_size_of_an_entry_includes_its_tags():
    near = NearMemory(ROOM)
    keep(near, "a")
    bare = near.n_bytes
    keep(near, "b", *(f"tag {number:03}" for number in range(10)))
    assert near.n_bytes == 2 * bare + 10 * (TAG_BYTES + len("tag 000"))
    near.drop(["b"])
    assert near.n_bytes == bare


def test_a_changed_tag_drops_all_of_its_entries():
    near = NearMemory(ROOM)
    keep(near, "a", "t")
    keep(near, "b", "t", "u")
    keep(near, "c", "u")
    near.drop(["t", "unknown"])
    assert [near.get(key, 0) is not None for key in "abc"] == [False, False, True]
    near.drop(["c"])
    assert (len(near), near.n_bytes, near._keys_by_tag) == (0, 0, {})


@pytest.mark.parametrize("change", ["key", "tag", "everything", "too many to remember"])
def test_a_value_that_changed_during_its_look_up_is_not_kept(change):
    near = NearMemory(ROOM)
    before = near.generation
    if change == "everything":
        near.clear()
    elif change == "too many to remember":
        near.drop(str(number) for number in range(MAX_CHANGES + 1))
    else:
        near.drop(["a" if change == "key" else "t"])
    keep(near, "a", "t", generation=before)
    assert near.get("a", 0) is None
    keep(near, "a", "t")
    assert near.get("a", 0) is not None


def test_a_change_of_other_keys_does_not_matter():
    near = NearMemory(ROOM)
    before = near.generation
    near.drop(["b", "u"])
    keep(near, "a", "t", generation=before)
    assert near.get("a", 0) is not None


def test_used_entries_outlive_unused_ones():
    near = NearMemory(20 * (OVERHEAD_BYTES + 10))
    keep(near, "used")
    for number in range(200):
        assert near.get("used", 0) is not None
        keep(near, str(number))
    assert near.get("199", 0) is not None
    assert near.get("1", 0) is None


def test_a_value_that_is_too_large_is_not_kept():
    near = NearMemory(ROOM)
    near.keep(("a",), b"x" * ROOM, [], expires_at=1.0, generation=near.generation)
    near.keep(("b",), b"x", "x" * ROOM, expires_at=1.0, generation=near.generation)
    assert (len(near), near.n_bytes) == (0, 0)


class Machine(RuleBasedStateMachine):
    """After any sequence of operations the index and the size are right, and the bound holds."""

    def __init__(self):
        super().__init__()
        self.near = NearMemory(ROOM)
        self.truth: dict[str, tuple[str, ...]] = {}

    keys = st.sampled_from("abcdefghijklmnopqrstuvwxyz")
    tags = st.lists(st.sampled_from(["t", "u", "v"]), unique=True).map(tuple)

    @rule(key=keys, tags=tags, length=st.integers(0, 3000))
    def keep(self, key, tags, length):
        self.near.keep((key, *tags), b"x" * length, [], expires_at=1.0, generation=self.near.generation)
        if self.near.get(key, 0) is not None:
            self.truth[key] = tags

    @rule(key=keys)
    def drop(self, key):
        self.near.drop([key])
        assert self.near.get(key, 0) is None

    @rule(tag=st.sampled_from(["t", "u", "v"]))
    def drop_tag(self, tag):
        self.near.drop([tag])
        for key, tags in self.truth.items():
            assert tag not in tags or self.near.get(key, 0) is None

    @rule()
    def clear(self):
        self.near.clear()
        assert len(self.near) == 0

    @invariant()
    def books(self):
        entries = self.near._entries
        assert self.near.n_bytes == sum(entry.n_bytes for entry in entries.values()) <= ROOM
        indexed = {(tag, key) for tag, keys in self.near._keys_by_tag.items() for key in keys}
        assert indexed == {(tag, key) for key, entry in entries.items() for tag in entry.tag_keys}


TestMachine = Machine.TestCase
