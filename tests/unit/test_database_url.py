"""DATABASE_URL: options as the driver wants them, files, and what may be shown."""

import pytest

from langcache_cli.vocabulary import Database, DatabaseConfigurationError
from langcache_cli.vocabulary.database_url import DatabaseAddress

HOST = "postgresql://u:p@db.example/x"


def arguments(query: str) -> dict[str, object]:
    return DatabaseAddress.parse(f"{HOST}?{query}").arguments


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("statement_cache_size=0", {"statement_cache_size": 0}),
        ("max_cached_statement_lifetime=30", {"max_cached_statement_lifetime": 30}),
        ("command_timeout=2.5", {"command_timeout": 2.5}),
        ("connect_timeout=7", {"timeout": 7.0}),
        ("channel_binding=require", {}),
        ("application_name=cron", {"server_settings": {"application_name": "cron"}}),
        ("options=-csearch_path%3Dapp", {"server_settings": {"search_path": "app"}}),
        (
            "options=-c%20search_path%3Dapp%20--lock-timeout%3D5",
            {"server_settings": {"search_path": "app", "lock_timeout": "5"}},
        ),
        ("options=endpoint%3Dep-1", {"server_settings": {"options": "endpoint=ep-1"}}),
        ("server_settings=%7B%22jit%22:%22off%22%7D", {"server_settings": {"jit": "off"}}),
        ("sslmode=require", {"dsn": "postgresql://?sslmode=require"}),
        ("ssl=require&sslrootcert=/ca", {"dsn": "postgresql://?sslmode=require&sslrootcert=%2Fca"}),
    ],
)
def test_options_of_libpq_and_asyncpg_reach_the_driver_as_it_wants_them(query, expected):
    assert arguments(query) == expected


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("colour=red", "'colour'"),
        ("statement_cache_size=ten", "statement_cache_size"),
        ("connect_timeout=-1", "connect_timeout"),
        ("timeout=nan", "timeout"),
        ("currentSchema=app", "search_path"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(query, says):
    with pytest.raises(DatabaseConfigurationError, match=says):
        arguments(query)


@pytest.mark.parametrize(
    "rest",
    [
        "pw@Tail@127.0.0.1:1/lp",
        "pw@Tail/x@127.0.0.1:1/lp",
        "pw@Tail?x@127.0.0.1:1/lp",
        "pw@Tail?x=1@h/lp",
        "pw@@Tail@h/lp",
        "pw@Tail#x@h/lp",
    ],
)
def test_no_part_of_a_password_with_an_unescaped_at_sign_is_shown(rest):
    with pytest.raises(DatabaseConfigurationError, match="%40") as caught:
        DatabaseAddress.parse(f"postgresql://lp:{rest}")
    assert "Tail" not in str(caught.value)


def test_a_user_with_an_at_sign_is_no_mistake():
    address = DatabaseAddress.parse("postgresql://me@tenant:secret@db.example:5433/lang")
    assert address.target == "postgresql://***@db.example:5433/lang"
    assert (address.url.username, address.url.host) == ("me@tenant", "db.example")


def test_a_newline_behind_the_url_does_not_count():
    assert DatabaseAddress.parse(f"{HOST}\n").url.database == "x"


def test_a_repr_shows_no_password():
    assert "secret" not in repr(DatabaseAddress.parse("postgresql://u:secret@h/x?sslpassword=secret"))


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////data/w.db", "/data/w.db"),
        ("sqlite:///file:/data/w.db?mode=ro&uri=true", "/data/w.db"),
        ("sqlite:///file:///data/a%20b.db?uri=true", "/data/a b.db"),
        ("sqlite:///file::memory:?uri=true", None),
        ("sqlite:///file:shared?mode=memory&uri=true", None),
        ("sqlite://", None),
    ],
)
def test_the_file_behind_a_sqlite_url(url, file):
    found = DatabaseAddress.parse(url).file
    assert (None if found is None else str(found)) == file


def test_the_timeout_of_the_command_line_wins_over_the_url(monkeypatch):
    given = {}
    monkeypatch.setattr(
        "langcache_cli.vocabulary.database.create_async_engine", lambda _url, **options: given.update(options)
    )
    for url, timeout, expected in (
        (HOST, None, 5.0),
        (f"{HOST}?timeout=9", None, 9.0),
        (f"{HOST}?timeout=9", 1, 1),
    ):
        _ = Database(url, timeout=timeout).engine
        assert given["connect_args"]["timeout"] == expected
