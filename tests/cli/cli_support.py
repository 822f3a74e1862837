"""What the tests of the command share: a secret, words for a database, and what a clear error looks like."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.harness.binaries import redis_server
from tests.harness.cli import Run
from tests.harness.redis_server import RedisServer

MARK = "Zq9vulpine"
SECRET = f"p:/?#[@%25*{MARK} é"
"""Whatever is shown of it, as it is or percent-encoded, shows its mark."""

HIDDEN = quote(SECRET, safe="")

LEVELS = ("A1", "A2", "B1", "B2")
WORDS_OF_A_LEVEL = 300

COLUMNS = """id, word, lemma, language, difficulty_level, part_of_speech, gender, translation_en, notes,
    frequency_rank"""
TABLE = """CREATE TABLE vocabulary_words (
    id INTEGER PRIMARY KEY, word VARCHAR(100) NOT NULL, lemma VARCHAR(100) NOT NULL,
    language VARCHAR(5) NOT NULL, difficulty_level VARCHAR(10), part_of_speech VARCHAR(50),
    gender VARCHAR(10), translation_en TEXT, translation_native TEXT, pronunciation VARCHAR(200),
    notes TEXT, frequency_rank INTEGER, created_at TIMESTAMP, updated_at TIMESTAMP,
    UNIQUE (word, language))"""

Row = tuple[int, str, str, str, str | None, str, str | None, str, str | None, int | None]


def words(count: int, *, level: str | None = "A1", first: int = 1, language: str = "de") -> Iterator[Row]:
    """Rows of the table: umlauts, quotes and colons, ranks that repeat and ranks that are missing."""
    for number in range(first, first + count):
        rank = None if number % 7 == 0 else number // 2
        text = f"Größe {number}"
        yield (number, text, text.lower(), language, level, "noun", None, f'size "{number}": ß', None, rank)


def all_levels() -> list[Row]:
    """900 words for each of four levels."""
    return [
        row
        for index, level in enumerate(LEVELS)
        for row in words(WORDS_OF_A_LEVEL, level=level, first=index * WORDS_OF_A_LEVEL + 1)
    ]


def sqlite_database(path: Path, rows: list[Row], *, table: str = TABLE) -> str:
    """Make a database and return its URL."""
    with sqlite3.connect(path) as connection:
        connection.execute(table)
        connection.executemany(
            f"INSERT INTO vocabulary_words ({COLUMNS}) VALUES ({','.join('?' * 10)})", rows
        )
    connection.close()
    return f"sqlite:///{path}"


def insert_statements(rows: list[Row]) -> Iterator[str]:
    """The same for PostgreSQL, in pieces that fit into an argument."""
    for start in range(0, len(rows), 500):
        values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows[start : start + 500])
        yield f"INSERT INTO vocabulary_words ({COLUMNS}) VALUES {values}"


def url_of(server: RedisServer, *, user: str = "", password: str | None = None, db: int = 0) -> str:
    """The server's URL with other credentials."""
    secret = server.password if password is None else password
    login = f"{user}:{quote(secret, safe='')}@" if secret else ""
    return f"redis://{login}{server.host}:{server.port}/{db}"


def program_on_path(folder: Path, name: str, version: str) -> None:
    """Put the server under test into a folder for PATH, as a program that says another name and version."""
    product = "Valkey" if name.startswith("valkey") else "Redis"
    script = f"""#!/bin/sh
if [ "$1" = --version ]; then echo "{product} server v={version}"; exit; fi
exec "{redis_server()}" "$@"
"""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)


def keys_of(server: RedisServer, pattern: str = "*") -> set[str]:
    """All keys but events and counters of removals, read as a bare redis-cli would."""
    found: Any = server.command("KEYS", pattern)
    return {key.decode() for key in found if not re.search(rb"@stats:(\{|labels|events)", key)}


def fill(server: RedisServer, pattern: str, count: int) -> None:
    """Create `count` keys, named by `string.format` of Lua, in one command."""
    script = "for i = 1, ARGV[2] do redis.call('SET', string.format(ARGV[1], i), 'v') end"
    server.command("EVAL", script, 0, pattern, count, timeout=30)


def complaint(run: Run) -> str:
    """The one line on stderr that says what is wrong; fails on a second one, a traceback, a secret.

    Of a JSON document it is the message of its error, and then nothing is on stderr.
    """
    if run.stdout.startswith("{"):
        no_noise(run)
        assert (run.stderr, run.document["exit_code"]) == ("", run.code)
        return f"langcache: {run.document['error']['message']}"
    lines = run.stderr.splitlines()
    complaints = [line for line in lines if line.startswith("langcache: ")]
    assert len(complaints) == 1, run
    position = lines.index(complaints[0])
    targets, hints = lines[:position], lines[position + 1 :]
    assert all(re.match(r"((rediss?(\+cluster|\+sentinel)?|unix)://|from )", line) for line in targets), run
    assert len(hints) <= 1, run
    no_noise(run)
    return complaints[0]


def no_noise(run: Run) -> None:
    """No traceback, no secret, nothing that only a terminal understands."""
    everything = run.stdout + run.stderr
    assert "Traceback" not in everything, run
    assert "Warning" not in everything, run
    assert MARK not in everything, run
    assert "\x1b" not in everything, run
    assert not re.search("[\u2500-\u257f]", everything), run


def _literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
