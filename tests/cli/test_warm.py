"""``langcache warm``: what it stores is what a backend in another process then reads, hit by hit."""

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.cli_support import (
    LEVELS,
    TABLE,
    WORDS_OF_A_LEVEL,
    all_levels,
    complaint,
    insert_statements,
    keys_of,
    no_noise,
    sqlite_database,
    url_of,
    words,
)
from tests.harness.cli import Run, finish, run_cli, start_cli

WORDS = len(LEVELS) * WORDS_OF_A_LEVEL
PAGE = 250
PAGES = len(LEVELS) * 2
READER = (sys.executable, str(Path(__file__).with_name("reader.py")))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_of_four_levels(request, tmp_path) -> str:
    """1,200 words, 300 for each of four levels: a page, and a part of one."""
    if request.param == "sqlite":
        return sqlite_database(tmp_path / "words.db", all_levels())
    url, server = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_server")
    for statement in (TABLE, *insert_statements(all_levels())):
        server.execute(statement, database=url.rpartition("/")[2])
    return url


def test_after_a_warm_every_read_of_another_process_is_a_hit_and_equal(
    database_of_four_levels, secured_redis
):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": database_of_four_levels}
    warm = run_cli("warm", "--verify", "50", env=env)
    assert warm.code == 0
    no_noise(warm)
    assert f"{WORDS:,} words and {PAGES} level lists warmed" in warm.stdout
    assert "Verified 50: 0 wrong." in warm.stdout
    assert keys_of(secured_redis, "cache:*") == {
        *(f"cache:vocabulary:get_vocabulary_word:{word_id}" for word_id in range(1, WORDS + 1)),
        *(f"cache:vocabulary:find_vocabulary_word:Größe {word_id}:de" for word_id in range(1, WORDS + 1)),
        *(
            f"cache:vocabulary_level:get_vocabulary_level:{level}:{PAGE}:{offset}:de"
            for level in LEVELS
            for offset in range(0, WORDS_OF_A_LEVEL, PAGE)
        ),
    }
    env["LANGCACHE_STATS_FLUSH_SECONDS"] = "3600"
    read = finish(start_cli(str(WORDS), str(PAGE), *LEVELS, env=env, command=READER))
    assert json.loads(read.stdout) == {
        "hits": {
            "get_vocabulary_word": WORDS,
            "find_vocabulary_word": WORDS,
            "get_vocabulary_level": PAGES,
        },
        "all_hits": 2 * WORDS + PAGES,
        "misses": 0,
        "differ": [],
    }


def test_an_entry_is_a_readable_line_and_json_with_the_ttl_of_the_type(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words, "REDIS_TTL_VOCABULARY": "600"}
    assert call("warm", env=env).code == 0
    stored = secured_redis.command("GET", "cache:vocabulary:get_vocabulary_word:2")
    header, payload = stored.split(b"\n")
    assert header.isascii()
    assert json.loads(payload)["word"] == "Größe 2"
    assert "Größe".encode() in payload
    page = secured_redis.command("GET", "cache:vocabulary_level:get_vocabulary_level:A1:250:0:de")
    assert [word["id"] for word in json.loads(page.split(b"\n")[1])] == [1, 2, 3]
    milliseconds = secured_redis.command("PTTL", "cache:vocabulary:get_vocabulary_word:2")
    assert 500_000 < milliseconds <= 600_000


def test_missing_only_leaves_entries_alone_and_a_second_warm_replaces_them(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    key = "cache:vocabulary:get_vocabulary_word:2"
    assert call("warm", env=env).code == 0
    first = secured_redis.command("GET", key)
    secured_redis.command("DEL", "cache:vocabulary:get_vocabulary_word:1")
    kept = call("warm", "--missing-only", "--json", env=env)
    assert kept.code == 0
    assert kept.document["words_written"] == 1
    assert kept.document["lines"][0]["skipped"] == 2
    assert secured_redis.command("GET", key) == first
    again = call("warm", "--json", env=env)
    assert again.document["words_written"] == 3
    assert secured_redis.command("GET", key) != first


def test_a_dry_run_writes_nothing_and_counts_what_it_would(secured_redis, three_words, call):
    ended = call("warm", "-n", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words})
    assert ended.code == 0
    assert ended.stdout.splitlines()[-1] == "Would warm 7 entries; nothing was written."
    assert secured_redis.command("DBSIZE") == 0


def test_a_dry_run_needs_no_redis(three_words, call):
    ended = call("warm", "-n", env={"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": three_words})
    assert ended.code == 0


def test_limit_level_and_language_choose_the_keys(tmp_path, secured_redis, call):
    rows = [
        *words(5, level="A1"),
        *words(5, level="B1", first=11),
        *words(5, level="A1", first=21, language="es"),
        *words(2, level=None, first=31),
    ]
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": sqlite_database(tmp_path / "w.db", rows)}
    assert call("warm", "--limit=2", "--level", "A1", "--language", "es", env=env).code == 0
    assert keys_of(secured_redis, "cache:*") == {
        *(f"cache:vocabulary:get_vocabulary_word:{word_id}" for word_id in range(21, 26)),
        *(f"cache:vocabulary:find_vocabulary_word:Größe {word_id}:es" for word_id in range(21, 26)),
        *(f"cache:vocabulary_level:get_vocabulary_level:A1:2:{offset}:es" for offset in (0, 2, 4)),
    }
    assert call("warm", "--level", "A1", "--level", "B1", env=env).code == 0
    assert len(keys_of(secured_redis, "cache:vocabulary:*")) == 30
    nothing = call("warm", "--language", "fr", env=env)
    assert nothing.code == 1
    assert "nothing to warm" in complaint(nothing)


def test_words_without_a_language_are_named_by_their_group_and_end_a_warm_with_3(
    tmp_path, secured_redis, call
):
    table = TABLE.replace("language VARCHAR(5) NOT NULL", "language VARCHAR(5)")
    url = sqlite_database(tmp_path / "w.db", [*words(2)], table=table)
    with closing(sqlite3.connect(tmp_path / "w.db")) as file, file:
        file.execute("UPDATE vocabulary_words SET language = NULL WHERE id = 2")
    ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
    assert ended.code == 3
    assert "1 of 4 entries were not stored" in complaint(ended)
    rows = [line.split()[:7] for line in ended.stdout.splitlines()]
    assert ["-", "A1", "words", "1", "0", "0", "1"] in rows
    assert ["de", "A1", "words", "1", "1", "0", "0"] in rows
    assert keys_of(secured_redis, "cache:vocabulary:get_vocabulary_word:*") == {
        "cache:vocabulary:get_vocabulary_word:1"
    }


def test_words_without_a_level_are_warmed_but_are_on_no_list(tmp_path, secured_redis, call):
    rows = [*words(2, level=None), *words(1, level="B2", first=9)]
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": sqlite_database(tmp_path / "w.db", rows)}
    ended = call("warm", "--json", env=env)
    assert [(line["level"], line["what"], line["written"]) for line in ended.document["lines"]] == [
        ("B2", "words", 1),
        ("B2", "spellings", 1),
        ("B2", "level lists", 1),
        (None, "words", 2),
        (None, "spellings", 2),
    ]


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"])
def test_every_spelling_of_a_sqlite_url_works(scheme, three_words, secured_redis, call):
    url = three_words.replace("sqlite:", f"{scheme}:")
    ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
    assert ended.code == 0
    assert f"from {three_words}" in ended.stderr


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("postgres", ""),
        ("postgresql", "?sslmode=disable"),
        ("postgresql", "?sslmode=prefer"),
        ("postgresql+psycopg2", ""),
        ("postgresql+asyncpg", "?ssl=disable"),
    ],
)
def test_every_spelling_of_a_postgresql_url_works(scheme, query, postgres_words, secured_redis, call):
    url = postgres_words.replace("postgresql:", f"{scheme}:") + query
    ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "DATABASE_URL": url})
    assert ended.code == 0, ended
    assert f"from {postgres_words.replace('postgres@', '***@')}\n" in ended.stderr


def test_the_database_may_be_behind_a_unix_socket(postgres_server, postgres_words, secured_redis, call):
    url = postgres_server.unix_url_of(postgres_words.rpartition("/")[2])
    ended = call("warm", env={"REDIS_URL": url_of(secured_redis), "LANGPLUG_DATABASE_URL": url})
    assert ended.code == 0, ended


def test_a_wrong_entry_under_the_same_key_fails_the_verification(secured_redis, three_words, tmp_path, call):
    """Another database, whose words differ, has been warmed since."""
    other = [(*row[:6], None, "changed", None, 1) for row in words(3)]
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": sqlite_database(tmp_path / "o.db", other)}
    assert call("warm", env=env).code == 0
    ended = call("warm", "--missing-only", "--verify=9", "--json", env={**env, "DATABASE_URL": three_words})
    assert ended.code == 1
    assert ended.document["verified"]["checked"] == 7
    assert set(ended.document["verified"]["wrong"]) == keys_of(secured_redis, "cache:*")
    assert "not as in the database" in complaint(ended)


def test_the_sample_is_there_without_a_database(secured_redis, state_folder, call):
    ended = call("warm", "--sample", "--json", env={"REDIS_URL": url_of(secured_redis)})
    assert ended.code == 0
    written = [ended.document[f"{what}_written"] for what in ("words", "spellings", "level_lists")]
    assert written == [1000, 1000, 4]
    assert [path.suffix for path in state_folder.iterdir()] == [".db"]


def test_a_type_chooses_the_look_ups(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    nothing = call("warm", "--type", "video", env=env)
    assert (nothing.code, "nothing to warm" in complaint(nothing)) == (1, True)
    unknown = call("warm", "--type", "verbs", env=env)
    assert (unknown.code, "verbs" in complaint(unknown)) == (2, True)
    assert keys_of(secured_redis) == set()
    chosen = call("warm", "--type", "video", "--type", "vocabulary", "--json", env=env)
    assert [line["what"] for line in chosen.document["lines"]] == ["words", "spellings", "level lists"]


def test_a_rate_makes_it_take_its_time(secured_redis, tmp_path, call):
    env = {
        "REDIS_URL": url_of(secured_redis),
        "DATABASE_URL": sqlite_database(tmp_path / "words.db", list(words(400))),
    }
    started = time.monotonic()
    warm = call("warm", "--rate", "500", env=env)
    assert time.monotonic() - started >= 400 / 500
    assert warm.code == 0
    assert "400 words and 2 level lists warmed" in warm.stdout


def test_a_dry_run_need_not_keep_to_a_rate(secured_redis):
    env = {"REDIS_URL": url_of(secured_redis)}
    dry = run_cli("warm", "--sample", "--dry-run", "--rate", "1", env=env)  # 17 minutes, if it did
    assert dry.code == 0
    assert "Would" in dry.stdout


def test_a_dry_run_of_what_is_missing_counts_what_is_missing(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    line = ("warm", "--missing-only", "--dry-run", "--json")
    assert sum(item["read"] for item in call(*line, env=env).document["lines"]) == 7
    assert call("warm", env=env).code == 0
    secured_redis.command("DEL", "cache:vocabulary:get_vocabulary_word:2")
    ended = call(*line, env=env)
    assert [(item["what"], item["read"], item["skipped"]) for item in ended.document["lines"]] == [
        ("words", 1, 2),
        ("spellings", 0, 3),
        ("level lists", 0, 1),
    ]
    assert "Would warm 1 entry; nothing" in call(*line[:-1], env=env).stdout


def test_levels_may_be_written_small(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words}
    ended = call("warm", "--level", "a1", "--json", env=env)
    assert (ended.code, ended.document["words_written"]) == (0, 3)


def test_quiet_is_silent_about_what_was_done(secured_redis, three_words, call):
    env = {"REDIS_URL": url_of(secured_redis), "DATABASE_URL": three_words, "LANGCACHE_ENV": "dev"}
    env["LANGCACHE_MISSPELT"] = "1"
    assert call("-q", "warm", env=env) == Run(0, "", "")
    assert call("-q", "clear", "--type", "vocabulary", env=env) == Run(0, "", "")
    assert call("-q", "warm", "--dry-run", env=env).stdout.startswith("Language"), "it was asked for"
    refused = call("-q", "warm", "--level", "C2", env=env)
    assert (refused.code, refused.stdout) == (1, "")
    assert "nothing to warm" in complaint(refused)
