"""The bundled sample vocabulary: what every row promises to the tables it is loaded into."""

import csv
import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

COLUMNS = [
    "id",
    "word",
    "lemma",
    "language",
    "difficulty_level",
    "part_of_speech",
    "gender",
    "translation_en",
    "translation_native",
    "pronunciation",
    "notes",
    "frequency_rank",
]
REQUIRED = [
    "word",
    "lemma",
    "language",
    "difficulty_level",
    "part_of_speech",
    "translation_en",
    "frequency_rank",
]
LEVELS = ["A1", "A2", "B1", "B2"]
GENDERS = {"masculine", "feminine", "neuter"}
PARTS_OF_SPEECH = {
    "noun",
    "verb",
    "adjective",
    "adverb",
    "pronoun",
    "preposition",
    "conjunction",
    "article",
    "numeral",
    "particle",
    "interjection",
}
# The widths of the table's columns, in characters.
MAX_LENGTHS = {
    "word": 100,
    "lemma": 100,
    "language": 5,
    "difficulty_level": 10,
    "part_of_speech": 50,
    "gender": 10,
}

Row = dict[str, str]


@pytest.fixture(scope="module")
def raw() -> bytes:
    return (files("langcache_cli.vocabulary") / "sample.csv").read_bytes()


@pytest.fixture(scope="module")
def rows(raw: bytes) -> list[Row]:
    # strict: a stray quote is an error; restval and restkey would hide a short or long row.
    return list(csv.DictReader(raw.decode("utf-8").splitlines(), strict=True))


def test_the_file_is_utf8_without_a_byte_order_mark_and_ends_lines_with_a_bare_newline(raw):
    raw.decode("utf-8")
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")


def test_every_row_has_exactly_the_columns_of_the_header(raw):
    header, *records = csv.reader(raw.decode("utf-8").splitlines(), strict=True)
    assert header == COLUMNS
    assert [record for record in records if len(record) != len(COLUMNS)] == []


def test_there_are_a_thousand_words_250_for_each_level(rows):
    assert len(rows) == 1000
    assert Counter(row["difficulty_level"] for row in rows) == dict.fromkeys(LEVELS, 250)


def test_ids_count_from_1_to_1000_in_order(rows):
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 1001)]


def test_rows_are_sorted_by_level_and_then_by_frequency_rank(rows):
    keys = [(row["difficulty_level"], int(row["frequency_rank"])) for row in rows]
    assert keys == sorted(keys)


@pytest.mark.parametrize("columns", [("word", "language"), ("lemma", "part_of_speech")])
def test_no_two_rows_describe_the_same_word(rows, columns):
    counts = Counter(tuple(row[column] for column in columns) for row in rows)
    assert [key for key, count in counts.items() if count > 1] == []


def test_every_word_is_german(rows):
    assert {row["language"] for row in rows} == {"de"}


@pytest.mark.parametrize("column", REQUIRED)
def test_a_required_column_is_never_blank(rows, column):
    assert [row["id"] for row in rows if not row[column].strip()] == []


def test_every_noun_has_a_gender_and_nothing_else_does(rows):
    nouns = [row for row in rows if row["part_of_speech"] == "noun"]
    others = [row for row in rows if row["part_of_speech"] != "noun"]
    assert [row["word"] for row in nouns if row["gender"] not in GENDERS] == []
    assert [row["word"] for row in others if row["gender"]] == []


def test_every_part_of_speech_is_a_known_one(rows):
    assert {row["part_of_speech"] for row in rows} <= PARTS_OF_SPEECH


def test_frequency_ranks_are_a_permutation_of_1_to_1000(rows):
    assert sorted(int(row["frequency_rank"]) for row in rows) == list(range(1, 1001))


@pytest.mark.parametrize("column", ["word", "lemma"])
def test_nouns_are_capitalised_and_other_words_are_not(rows, column):
    assert [row["id"] for row in rows if row[column][0].isupper() != (row["part_of_speech"] == "noun")] == []


def test_no_value_has_whitespace_around_it(rows):
    assert [row["id"] for row in rows if any(value != value.strip() for value in row.values())] == []


def test_every_value_is_nfc_normalised(rows):
    values = [value for row in rows for value in row.values()]
    assert [value for value in values if not unicodedata.is_normalized("NFC", value)] == []


@pytest.mark.parametrize(("column", "limit"), MAX_LENGTHS.items())
def test_every_value_fits_its_column_in_the_table(rows, column, limit):
    assert [row["id"] for row in rows if len(row[column]) > limit] == []
