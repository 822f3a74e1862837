"""Look-ups of one turn of which some fail: each caller gets what it has asked for."""

import asyncio

import pytest

from langcache_cli.caching._deployment.cluster.turn import Turn
from langcache_cli.caching._errors import CacheUnavailableError

AWAY = CacheUnavailableError("away", target="node")
LATE = CacheUnavailableError("late", target="cluster")


class Node:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.wanted = {}

    def get(self, wanted, *, asking=False):
        for one in wanted:
            one.asked = self
            self.wanted[one.key] = one

    def timed_out(self):
        return LATE


class Router:
    """Keys that begin with ``x`` have no node."""

    def __init__(self) -> None:
        self.node = Node()

    def node_of(self, key):
        return AWAY if key.startswith("x") else self.node

    def settle(self, wanted, reply):
        wanted.fail(reply)


@pytest.fixture
async def turn():
    return Turn(asyncio.get_running_loop(), Router(), lambda: None)


def asked(turn):
    return turn.router.node.wanted


async def test_values_and_errors_are_in_the_places_of_their_keys(turn):
    each, several, alone = turn.add_each(["a", "x", "b", "a"]), turn.add(("a", "x")), turn.add(("b",))
    turn.send()
    assert sorted(asked(turn)) == ["a", "b"]
    asked(turn)["a"].receive(b"1")
    assert not each.caller.done()
    asked(turn)["b"].receive(None)
    assert await each.caller == [b"1", AWAY, None, b"1"]
    assert await alone is None
    with pytest.raises(CacheUnavailableError):
        await several


async def test_at_the_end_of_its_time_a_caller_takes_what_there_is(turn):
    each = turn.add_each(["a", "b", "c", "x"])
    turn.send()
    asked(turn)["a"].receive(b"1")
    asked(turn)["c"].receive(None)
    each.end(LATE)
    asked(turn)["b"].receive(b"2")
    each.end(AWAY)
    assert await each.caller == [b"1", LATE, None, AWAY]


async def test_a_turn_that_times_out_leaves_errors_in_the_place_of_what_is_missing(turn):
    each = turn.add_each(["a", "b"])
    turn.send()
    asked(turn)["b"].receive(b"2")
    turn.time_out()
    assert await each.caller == [LATE, b"2"]


async def test_a_caller_that_has_gone_is_no_trouble(turn):
    each = turn.add_each(["a", "b"])
    turn.send()
    each.caller.cancel()
    asked(turn)["a"].receive(b"1")
    turn.time_out()
    each.end(LATE)
    assert each.caller.cancelled()
