"""What stands under one key: written, read back, and told apart from everything else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._keys.tags import MAX_TAGS
from langcache_cli.caching._protocol import header
from langcache_cli.caching._protocol.entry import MAX_HEADER_BYTES, Entry, Placeholder, parse, servable_header
from langcache_cli.caching._protocol.scripts import STEPS, script

IDS = st.text("0123456789abcdef", min_size=16, max_size=16)
TIMES = st.integers(0, 10**15 - 1)
TAGS = st.lists(IDS, max_size=MAX_TAGS).map(tuple)
entries = st.builds(
    Entry,
    id=IDS,
    created_ms=TIMES,
    fresh_until_ms=TIMES,
    load_us=TIMES,
    schema=st.text("0123456789abcdef", min_size=8, max_size=8),
    payload=st.binary() | st.sampled_from([b"", b"\n", b"null", b"\n\n", b"lc1 entry id="]),
    tag_versions=TAGS,
    leased_until_ms=st.integers(0, 10**13 - 1),
    compression=st.sampled_from(["", "zlib", "zstd"]),
    note=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12),
)
placeholders = st.builds(Placeholder, id=IDS, created_ms=TIMES, tag_versions=TAGS)

ENTRY = Entry("0123456789abcdef", 1_700_000_000_000, 1_700_003_600_000, 45_000, "89abcdef", b'{"a":1}')
TEXT = (
    b"lc1 entry id=0123456789abcdef leased=0000000000000 created=1700000000000 fresh=1700003600000 "
    b'load_us=45000 schema=89abcdef\n{"a":1}'
)


def test_an_entry_is_a_line_that_a_person_can_read_and_its_payload():
    assert ENTRY.to_bytes() == TEXT


def test_a_placeholder_is_a_line_that_a_person_can_read():
    placeholder = Placeholder("0123456789abcdef", 1_700_000_000_000)
    assert placeholder.to_bytes() == b"lc1 lease id=0123456789abcdef created=1700000000000"


@given(entries | placeholders)
def test_what_is_written_is_read_back(stored):
    assert parse(stored.to_bytes()) == stored


@given(entries)
def test_the_header_is_one_line_of_ascii(entry):
    header, _, payload = entry.to_bytes().partition(b"\n")
    assert header.isascii()
    assert re.fullmatch(rb"[ -~]+", header)
    assert payload == entry.payload


@given(entries)
def test_a_plain_header_is_that_of_an_entry_which_nobody_has_leased(entry):
    header = servable_header(entry.schema)(entry.to_bytes(), 0, MAX_HEADER_BYTES)
    assert (header is not None) == (entry.leased_until_ms == 0 and not entry.note)  # of a body
    if header is not None:
        assert entry.to_bytes()[header.end() :] == entry.payload
        assert (header[1] or b"").decode() == ",".join(entry.tag_versions)
        assert (header[2] or b"").decode() == entry.compression
    other = f"{int(entry.schema, 16) ^ 1:08x}"
    assert servable_header(other)(entry.to_bytes(), 0, MAX_HEADER_BYTES) is None


@given(placeholders)
def test_a_placeholder_has_no_plain_header(placeholder):
    assert servable_header("89abcdef")(placeholder.to_bytes(), 0, MAX_HEADER_BYTES) is None


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 255))
def test_a_damaged_header_is_plain_only_if_it_reads_the_same(place, byte):
    damaged = TEXT[:place] + bytes([byte]) + TEXT[place + 1 :]
    header = servable_header("89abcdef")(damaged, 0, MAX_HEADER_BYTES)
    if header is not None:
        entry = parse(damaged)
        assert isinstance(entry, Entry)
        assert (entry.schema, entry.leased_until_ms, entry.payload) == (
            "89abcdef",
            0,
            damaged[header.end() :],
        )


@given(entries | placeholders)
def test_the_id_stands_at_byte_13_where_the_scripts_look_for_it(stored):
    assert (header.ID_START, header.ID_END) == (13, 29)
    assert stored.to_bytes()[13:29].decode() == stored.id
    beginning = header.ENTRY if isinstance(stored, Entry) else header.LEASE
    assert stored.to_bytes()[:13] == beginning.encode()


@given(entries)
def test_the_end_of_a_lease_stands_at_byte_37_where_the_scripts_look_for_it(entry):
    assert (header.LEASED_START, header.LEASED_END) == (37, 50)
    assert entry.to_bytes()[29:37] == header.LEASED.encode() == b" leased="
    assert int(entry.to_bytes()[37:50]) == entry.leased_until_ms
    assert entry.to_bytes()[50:51] == b" "


def test_the_versions_of_tags_end_the_header():
    tagged = ENTRY._replace(tag_versions=("0" * 16, "f" * 16))
    assert (
        tagged.to_bytes()
        .partition(b"\n")[0]
        .endswith(b" schema=89abcdef tags=0000000000000000,ffffffffffffffff")
    )


@pytest.mark.parametrize("step", STEPS)
def test_the_table_of_the_header_stands_before_every_step_and_no_step_repeats_it(step):
    source = script(step).source
    assert source.startswith(header.LUA)
    own = re.sub(r"--[^\n]*", "", source.removeprefix(header.LUA))
    assert "lc1" not in own
    assert "leased=" not in own
    assert not re.findall(r"\b(?:12|13|14|28|29|30|36|37|38|49|50|51)\b", own)


@given(st.binary() | st.binary().map(lambda data: b"lc1 entry id=" + data) | st.text().map(str.encode))
def test_foreign_bytes_are_neither_entry_nor_error(data):
    assert parse(data) is None


@given(st.data())
def test_a_truncated_header_is_no_entry(data):
    header = TEXT.index(b"\n")
    assert parse(TEXT[: data.draw(st.integers(0, header))]) is None


@given(st.integers(0, 28))
def test_a_placeholder_without_its_whole_id_is_none(length):
    assert parse(Placeholder(ENTRY.id, 1).to_bytes()[:length]) is None


@pytest.mark.parametrize("rest", [b"x", b" ", b" x", b"\x00", b"0" * 15])
def test_a_placeholder_with_something_else_behind_it_is_none(rest):
    assert parse(Placeholder(ENTRY.id, 1).to_bytes() + rest) is None


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 255))
def test_a_damaged_entry_is_read_as_something_else_or_not_at_all_but_never_raises(place, byte):
    damaged = TEXT[:place] + bytes([byte]) + TEXT[place + 1 :]
    found = parse(damaged)
    assert found is None or isinstance(found, (Entry, Placeholder))
    if isinstance(found, Entry):
        assert (found == ENTRY) == (damaged == TEXT)


@pytest.mark.parametrize("extra", [b" stale=1700000000001", b" labels=a:b,c=d ms=", b" x=" + b"y" * 1000])
def test_fields_of_a_later_version_are_skipped(extra):
    header, _, payload = TEXT.partition(b"\n")
    assert parse(header + extra + b"\n" + payload) == ENTRY
    placeholder = Placeholder(ENTRY.id, 1)
    assert parse(placeholder.to_bytes() + extra) == placeholder


@pytest.mark.parametrize(
    "stored",
    [
        TEXT.replace(b"lc1", b"lc2"),
        TEXT.replace(b"entry", b"value"),
        TEXT.replace(b"id=0123456789abcdef", b"id=0123456789ABCDEF"),
        TEXT.replace(b"created=1", b"created=-1"),
        TEXT.replace(b"created=1", b"created=" + "\u0661".encode()),
        TEXT.replace(b"created=", b"created=999999"),
        TEXT.replace(b" schema=89abcdef", b""),
        TEXT.replace(b" fresh=1700003600000", b""),
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n", b" x=" + b"y" * MAX_HEADER_BYTES + b"\n"),
        b" " + TEXT,
        b"\n" + TEXT,
    ],
)
def test_a_header_that_is_not_ours_is_no_entry(stored):
    assert parse(stored) is None


def test_an_endless_header_is_given_up_on_quickly():
    assert parse(TEXT.partition(b"\n")[0] + b" a=" * 1_000_000) is None


def test_ids_are_random_and_fit_their_place():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", identity) for identity in ids)


def test_times_fit_their_place_for_the_next_thousand_years():
    assert len(str(now_ms() + 1000 * 366 * 86_400_000)) <= 15
