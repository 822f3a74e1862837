"""Slots of a Redis Cluster: where keys lie, what CLUSTER SLOTS says, where redirects point to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._deployment.cluster.slots import (
    SLOTS,
    NodeName,
    Redirect,
    SlotMap,
    all_names,
    slot_of,
)
from langcache_cli.caching._errors import ServerReplyError

A, B, C = (NodeName(f"10.0.0.{number}", 6379, f"id{number}") for number in (1, 2, 3))


def words(node, *metadata):
    """A node as Redis 7 names it in a row."""
    return [node.host.encode(), node.port, node.node_id.encode(), list(metadata)]


def row(first, last, primary, *replicas):
    return [first, last, words(primary), *map(words, replicas)]


ROWS = [row(0, 5460, A, B), row(5461, SLOTS - 1, C)]


# -- keys --


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", 12739),  # the check value of CRC16/XMODEM
        ("", 0),
        ("{user1000}.following", slot_of("user1000")),
        ("foo{}{bar}", slot_of(b"foo{}{bar}")),
        ("foo{{bar}}zap", slot_of("{bar")),
        ("foo{bar}{zap}", slot_of("bar")),
    ],
)
def test_slots_are_those_of_the_cluster_specification(key, slot):
    assert slot_of(key) == slot_of(key.encode()) == slot


def test_an_empty_tag_is_no_tag():
    assert slot_of("foo{}{bar}") not in (slot_of(""), slot_of("bar"))


@given(st.binary(), st.binary(min_size=1), st.binary())
def test_keys_with_the_same_tag_share_a_slot(before, tag, after):
    before, tag = before.replace(b"{", b""), tag.replace(b"}", b"-")
    assert slot_of(before + b"{" + tag + b"}" + after) == slot_of(b"{" + tag + b"}")


@given(st.text())
def test_text_and_its_bytes_lie_in_the_same_slot(key):
    assert 0 <= slot_of(key) < SLOTS
    assert slot_of(key) == slot_of(key.encode())


# -- redirects --


@pytest.mark.parametrize(
    ("text", "redirect"),
    [
        ("MOVED 3999 10.0.0.7:6381", Redirect("MOVED", 3999, "10.0.0.7", 6381)),
        ("ASK 0 node-7.cache.example:6379", Redirect("ASK", 0, "node-7.cache.example", 6379)),
        ("MOVED 16383 :6381", Redirect("MOVED", 16383, "asked", 6381)),
        ("MOVED 1 2001:db8::1:6381", Redirect("MOVED", 1, "2001:db8::1", 6381)),
        ("MOVED 1 [2001:db8::1]:6381", Redirect("MOVED", 1, "2001:db8::1", 6381)),
        ("ASK 1 ?:6381", Redirect("ASK", 1, None, 6381)),
        ("MOVED 16384 10.0.0.7:6381", None),
        ("MOVED 1 10.0.0.7", None),
        ("MOVED -1 10.0.0.7:6381", None),
        ("MOVED", None),
        ("ERR MOVED 1 10.0.0.7:6381", None),
        ("CLUSTERDOWN Hash slot not served", None),
    ],
)
def test_a_redirect_says_where_to_go(text, redirect):
    assert Redirect.of(ServerReplyError(text), "asked") == redirect


@given(st.text())
def test_no_error_text_breaks_the_parser(text):
    for words in (text, f"MOVED {text}", f"ASK 1 {text}", f"MOVED {text} 10.0.0.1:1"):
        found = Redirect.of(ServerReplyError(words), "asked")
        assert found is None or 0 <= found.slot < SLOTS


# -- the map --


def test_every_slot_has_the_owner_of_its_row():
    slots = SlotMap.parse(ROWS, "asked")
    assert slots.primaries == (A, C)
    assert [slots.owner(slot) for slot in (0, 5460, 5461, SLOTS - 1)] == [A, A, C, C]


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ([None, 7000, b"id"], "asked"),
        ([b"", 7000, b"id"], "asked"),
        ([b"10.0.0.9", 7000, b"id"], "10.0.0.9"),  # Redis 6.2
        ([b"node.example", 7000, b"id", [b"ip", b"10.0.0.9"]], "node.example"),
        ([b"?", 7000, b"id", [b"shard", b"x", b"ip", b"10.0.0.9"]], "10.0.0.9"),
        ([b"?", 7000, b"id", {b"ip": b"10.0.0.9"}], "10.0.0.9"),  # RESP3
        ([None, 7000, b"id", [b"hostname", b"node.example"]], "asked"),
        ([b"2001:db8::1", 7000, b"id", []], "2001:db8::1"),
    ],
)
def test_a_node_is_where_the_row_says(named, host):
    slots = SlotMap.parse([[0, SLOTS - 1, named]], "asked")
    assert slots.primaries == (NodeName(host, 7000, "id"),)


def test_all_nodes_are_named_replicas_too():
    assert all_names(ROWS, "asked") == {A, B, C}


def test_a_node_of_before_redis_4_has_no_id():
    assert SlotMap.parse([[1, 1, [b"10.0.0.9", 7000]]], "asked").owner(1) == NodeName("10.0.0.9", 7000, "")


def test_a_primary_without_an_address_owns_nothing_and_such_a_replica_does_not_matter():
    unknown = [b"?", 7000, b"id", []]
    slots = SlotMap.parse([[0, 10, unknown, words(B)], [11, 20, words(A), unknown, words(C)]], "asked")
    assert slots.primaries == (A,)
    assert (slots.owner(0), slots.owner(11), slots.owner(21)) == (None, A, None)


def test_a_cluster_without_slots_has_an_empty_map():
    assert SlotMap.parse([], "asked").primaries == ()


@pytest.mark.parametrize(
    "rows",
    [
        None,
        b"OK",
        7,
        [None],
        [[0, 1]],
        [[0, SLOTS, words(A)]],
        [[-1, 0, words(A)]],
        [[9, 8, words(A)]],
        [[0, 1, [b"host", b"7000", b"id"]]],
        [[0, 1, [b"\xff", 7000, b"id"]]],
        [[0, 1, [b"host"]]],
        [[0, 1, [b"?", 7000, b"id", [b"ip"]]]],
        [[b"0", b"1", words(A)]],
        ServerReplyError("ERR This instance has cluster support disabled"),
    ],
)
def test_another_reply_is_refused(rows):
    with pytest.raises(ValueError, match=re.escape("the reply to CLUSTER SLOTS is malformed")):
        SlotMap.parse(rows, "asked")


def test_maps_are_equal_whatever_the_order_of_rows_and_replicas():
    one = [row(0, 9, A, B, C), row(10, 19, C), row(20, 29, A, B, C)]
    other = [row(10, 19, C), row(20, 29, A, C, B), row(0, 4, A, C, B), row(5, 9, A, C, B)]
    assert SlotMap.parse(one, "asked") == SlotMap.parse(other, "asked")
    assert SlotMap.parse(one, "asked") != SlotMap.parse(one[:2], "asked")


def test_a_map_of_one_slot_rows_names_each_node_once():
    rows = [row(slot, slot, (A, B, C)[slot % 3]) for slot in range(SLOTS)]
    slots = SlotMap.parse(rows, "asked")
    assert slots.primaries == (A, B, C)
    assert all(slots.owner(slot) == (A, B, C)[slot % 3] for slot in range(SLOTS))
