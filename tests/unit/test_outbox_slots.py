"""The outbox of a process whose cache is in a cluster: each node confirms for the slots that it serves."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from langcache_cli.caching._deployment.cluster.slots import ALL_SLOTS, SLOTS, bits_of, slot_of
from langcache_cli.caching._invalidation.concerned import MAX_SELECTIONS
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._keys.selection import Selection, select_pattern, select_prefixes
from langcache_cli.caching._wire.server_identity import ServerIdentity

EVERYTHING = Selection("cache:*")
SERVERS = [ServerIdentity(str(number)) for number in range(3)]
A, B, C = SERVERS
GROUPS = [range(start, start + SLOTS // 4) for start in range(0, SLOTS, SLOTS // 4)]
BITS = [bits_of(group) for group in GROUPS]


def group_of(key: str) -> int:
    return slot_of(key) * 4 // SLOTS


def key_in(group: int, prefix: str = "a") -> str:
    return next(key for number in range(1000) if group_of(key := f"cache:{prefix}:{number}") == group)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(EVERYTHING)


def test_sets_of_slots_are_numbers():
    assert bits_of([]) == 0
    assert bits_of([0, 9, SLOTS - 1]) == 1 | 1 << 9 | 1 << SLOTS - 1
    assert bits_of(range(SLOTS)) == ALL_SLOTS == sum(BITS)


# -- what an unconfirmed invalidation concerns --


def test_only_calls_whose_entry_or_tag_is_unconfirmed_are_concerned(outbox):
    assert not outbox.concerns(["cache:a:1"])
    outbox.defer(["cache:a:1", "cache@tag:x"])
    assert outbox.concerns(["cache:a:1"])
    assert outbox.concerns(["cache:a:2", "cache@tag:x"])
    assert not outbox.concerns(["cache:a:2", "cache@tag:y"])
    outbox.delivered(outbox.waiting(), A)
    assert not outbox.concerns(["cache:a:1"])


@pytest.mark.parametrize(
    ("selection", "concerned", "others"),
    [
        (Selection("cache:a:*"), ["cache:a:1", "cache:a:"], ["cache:b:1", "cache:a"]),
        (Selection("cache:*:1?"), ["cache:a:12", "cache:\n:12"], ["cache:a:1", "cache:a:123"]),
        (Selection(r"cache:a\*b"), ["cache:a*b"], ["cache:axb", r"cache:a\*b"]),
        (Selection("cache:a"), ["cache:a"], ["cache:a:1"]),
        (Selection("cache:[ab]:1"), ["cache:a:1", "cache:b:1", "cache:c"], ["cach:a:1"]),
        (Selection("cache:??"), ["cache:\u00e9", "cache:ab"], ["cache:a", "cache:\u00e9x"]),
        (select_prefixes("cache", ["ab", "ac"]), ["cache:ab:1", "cache:ac"], ["cache:ad:1", "cache:abc"]),
        (select_pattern("cache:f:*:end"), ["cache:f:1:end"], ["cache:f:1", "cache:g:1:end"]),
    ],
)
def test_an_unconfirmed_selection_concerns_what_it_may_mean(outbox, selection, concerned, others):
    outbox.defer([selection])
    assert [key for key in concerned if not outbox.concerns([key])] == []
    assert [key for key in others if outbox.concerns([key])] == []
    assert outbox.concerns(["cache:nothing", concerned[0]])


def test_a_pattern_concerns_the_shortened_keys_that_it_may_mean(outbox):
    outbox.defer([select_pattern("cache:f:*:end")])
    (selection,) = outbox.waiting()
    shortened = selection.shortened.replace("*", "x" * 200, 1).replace("?", "0")
    assert outbox.concerns([shortened])


def test_a_selection_concerns_only_keys_of_the_slots_that_are_still_to_do(outbox):
    selection = Selection("cache:a:*")
    outbox.defer([selection])
    for done in range(4):
        assert [outbox.concerns([key_in(group)]) for group in range(4)] == [n >= done for n in range(4)]
        assert outbox.delivered(outbox.waiting(), A, slots=BITS[done]) == (done == 3)
    assert not outbox


def test_of_many_selections_only_the_slots_are_compared(outbox):
    for number in range(MAX_SELECTIONS + 1):
        outbox.defer([Selection(f"cache:{number}:*")], slots=BITS[0])
    assert outbox.concerns([key_in(0, "other")])
    assert not outbox.concerns([key_in(1, "0")])
    waiting = outbox.waiting()
    outbox.delivered({item: waiting[item] for item in list(waiting)[1:]}, A, slots=BITS[0])
    assert not outbox.concerns([key_in(0, "other")])
    assert outbox.concerns([key_in(0, "0")])


def test_too_many_become_the_whole_namespace_in_their_own_slots():
    outbox = Outbox(EVERYTHING, limit=2)
    assert outbox.defer([key_in(0, "a"), key_in(0, "b"), key_in(0, "c")]) == 3
    assert list(outbox.waiting()) == [EVERYTHING]
    assert outbox.concerns([key_in(0, "a")])
    assert not outbox.concerns([key_in(1, "a")])
    assert outbox.delivered(outbox.waiting(), A, slots=BITS[0]) == 3
    assert not outbox


# -- what is sent again --


def test_keys_whose_slot_has_another_owner_are_sent_again(outbox):
    outbox.remember([key_in(0), key_in(1)], A)
    assert outbox.defer_moved(BITS[1] | BITS[2]) == 1
    assert list(outbox.waiting()) == [key_in(1)]
    assert outbox.defer_moved(BITS[1]) == 0


def test_keys_on_the_slots_of_a_new_connection_are_sent_again_to_another_server(outbox):
    outbox.remember([key_in(0)], A)
    outbox.remember([key_in(1)], B)
    assert outbox.defer_recent(A, reconnected=True, slots=BITS[0]) == 0
    assert outbox.defer_recent(C, reconnected=True, slots=BITS[2]) == 0
    assert outbox.defer_recent(C, reconnected=True, slots=BITS[1]) == 1
    assert list(outbox.waiting()) == [key_in(1)]


def test_selections_are_sent_again_where_another_server_has_confirmed(outbox):
    selection = Selection("cache:a:*")
    outbox.remember([selection], A, slots=BITS[0] | BITS[1])
    outbox.remember([selection], B, slots=BITS[2])
    assert outbox.defer_recent(B, reconnected=True, slots=BITS[1] | BITS[2]) == 1
    assert outbox.waiting()[selection].slots == BITS[1]
    assert outbox.defer_moved(BITS[2]) == 0  # it waits already
    assert outbox.waiting()[selection].slots == BITS[1] | BITS[2]
    assert outbox.delivered(outbox.waiting(), C, slots=BITS[1]) == 0
    assert outbox.delivered(outbox.waiting(), C, slots=BITS[2]) == 1
    assert outbox.defer_recent(C, reconnected=True, slots=BITS[1] | BITS[2]) == 0
    assert outbox.defer_recent(A, reconnected=True, slots=BITS[0]) == 0
    assert outbox.defer_recent(B, reconnected=True) == 1
    assert outbox.waiting()[selection].slots == BITS[0] | BITS[1] | BITS[2]


def test_a_minute_with_too_many_is_the_whole_namespace_where_each_server_has_confirmed():
    outbox = Outbox(EVERYTHING, limit=3)
    outbox.remember([key_in(0, "a"), key_in(0, "b")], A)
    outbox.remember([key_in(1, "a"), key_in(1, "b")], B)
    assert outbox.defer_recent(A, reconnected=True, slots=BITS[0] | BITS[2] | BITS[3]) == 0
    assert outbox.defer_recent(A, reconnected=True, slots=BITS[1]) == 1
    assert outbox.concerns([key_in(1, "a")])
    assert not outbox.concerns([key_in(0, "a")])


def test_where_recent_ones_are_is_known(outbox):
    assert outbox.recent_slots() == 0
    outbox.remember([key_in(1)], A)
    outbox.remember([Selection("cache:a:*")], A, slots=BITS[2])
    assert outbox.recent_slots() == BITS[2] | 1 << slot_of(key_in(1))


KEYS = [key_in(group, prefix) for group in range(4) for prefix in ("a", "b")]
SELECTIONS = [Selection("cache:a:*"), Selection("cache:*")]
ITEMS = st.sampled_from([*KEYS, *SELECTIONS])
GROUP_SETS = st.sets(st.sampled_from(range(4)), min_size=1)
SOME_SERVERS = st.sampled_from(SERVERS)


ALL_GROUPS = frozenset(range(4))


def bits(groups) -> int:
    return sum(BITS[group] for group in groups)


def places(item, groups=ALL_GROUPS):
    """The item in each of the groups of slots that it is about."""
    own = {group_of(item)} if isinstance(item, str) else ALL_GROUPS
    return {(item, group) for group in own & groups}


class Model(RuleBasedStateMachine):
    """An outbox beside a simple model of it: for each item and group of slots, who has confirmed, if any."""

    def __init__(self):
        super().__init__()
        self.outbox = Outbox(EVERYTHING)
        self.unconfirmed: set[tuple[object, int]] = set()
        self.confirmed: dict[tuple[object, int], ServerIdentity] = {}
        self.seen = None
        """What a delivery under way has read, and the items that were asked for again since."""

    @rule(item=ITEMS, groups=GROUP_SETS)
    def is_not_confirmed(self, item, groups):
        self.outbox.defer([item], slots=bits(groups))
        self.unconfirmed |= places(item, groups if isinstance(item, Selection) else ALL_GROUPS)
        self.touched(item)

    @rule(item=ITEMS, groups=GROUP_SETS, server=SOME_SERVERS)
    def is_confirmed_at_once(self, item, groups, server):
        self.outbox.remember([item], server, slots=bits(groups))
        reached = places(item, groups if isinstance(item, Selection) else ALL_GROUPS)
        self.confirmed |= dict.fromkeys(reached, server)

    @rule()
    def a_delivery_begins(self):
        self.seen = self.outbox.waiting(), set()

    @rule(groups=GROUP_SETS, server=SOME_SERVERS)
    def a_node_confirms(self, groups, server):
        """A delivery does not confirm what was asked for again after it had begun."""
        if self.seen is None:
            return
        waiting, again = self.seen
        reached = {item: one for item, one in waiting.items() if places(item, groups)}
        self.outbox.delivered(reached, server, slots=bits(groups))
        for item in reached.keys() - again:
            if places(item) & self.unconfirmed:  # otherwise it was confirmed everywhere before
                self.unconfirmed -= places(item, groups)
                self.confirmed |= dict.fromkeys(places(item, groups), server)

    @rule(groups=GROUP_SETS)
    def slots_move(self, groups):
        self.outbox.defer_moved(bits(groups))
        self.lose({place for place in self.confirmed if place[1] in groups})

    @rule(groups=GROUP_SETS, server=SOME_SERVERS)
    def a_node_is_connected(self, groups, server):
        self.outbox.defer_recent(server, reconnected=True, slots=bits(groups))
        self.lose({place for place, by in self.confirmed.items() if place[1] in groups and by != server})

    def lose(self, lost):
        for place in lost:
            del self.confirmed[place]
            self.touched(place[0])
        self.unconfirmed |= lost

    def touched(self, item):
        if self.seen is not None:
            self.seen[1].add(item)

    @invariant()
    def concerns_exactly_what_is_unconfirmed(self):
        for key in KEYS:
            group = group_of(key)
            expected = (key, group) in self.unconfirmed or any(
                (selection, group) in self.unconfirmed and key.startswith(selection.pattern[:-1])
                for selection in SELECTIONS
            )
            assert self.outbox.concerns([key]) == expected
        assert bool(self.outbox) == bool(self.unconfirmed)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30)
