"""The table that holds a version for each subject."""

from __future__ import annotations

from tests.harness.postgres import PostgresServer
from tests.history.records import Subject
from tests.history.subjects import subjects


def create_counters(server: PostgresServer, database: str) -> None:
    """Every subject has version 1."""
    columns = "name text, item int, version bigint, PRIMARY KEY (name, item)"
    server.execute(f"CREATE TABLE counters ({columns})", database=database)
    rows = ", ".join(f"('{name}', {item}, 1)" for name, item in subjects())
    server.execute(f"INSERT INTO counters VALUES {rows}", database=database)


def newest_versions(server: PostgresServer, database: str) -> dict[Subject, int]:
    """The version of each subject now."""
    lines = server.execute("SELECT name, item, version FROM counters", database=database).splitlines()
    fields = (line.split("|") for line in lines)
    return {(name, int(item)): int(version) for name, item, version in fields}
