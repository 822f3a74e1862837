"""``langcache keys explain``: the key of a call, and what a call would find."""

import sys
import uuid

import pytest

from tests.cli.cli_support import keys_of, url_of

SOURCE = """
import enum, uuid
from langcache_cli.caching import cached, cached_many

print("imported")

class Level(enum.Enum):
    A1 = "A1"

@cached(key_prefix="vocabulary", tags=("word:{number}",), ttl=120)
async def get_word(number: int, level: Level = Level.A1, *, language: str = "de") -> str:
    raise RuntimeError("it ran")

@cached(key_prefix="translation")
async def translate(text: str, to: str | None) -> str:
    return text

@cached_many(translate, each="texts")
async def translate_all(texts: list[str], to: str | None) -> list[str]:
    return texts

class Service:
    @cached(key_prefix="user_stats")
    async def stats(self, user_id: uuid.UUID) -> str:
        return ""

def plain():
    pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of an application: one for all tests, as a module is imported once in a process."""
    path = tmp_path_factory.mktemp("explained")
    (path / "explained_app.py").write_text(SOURCE)
    (path / "broken_app.py").write_text("import explained_nothing\n")
    return path


@pytest.fixture
def explain(secured_redis, folder, monkeypatch, call):
    """`explain(*line)` in that folder."""
    monkeypatch.chdir(folder)
    return lambda *line: call("keys", "explain", *line, env={"REDIS_URL": url_of(secured_redis)})


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (("explained_app:get_word", "7"), lambda app: app.get_word.key_for(7)),
        (
            ("explained_app:get_word", "7", "A1", "language=7"),
            lambda app: app.get_word.key_for(7, app.Level.A1, language="7"),
        ),
        (("--app", "explained_app", "get_word", "number=7"), lambda app: app.get_word.key_for(7)),
        (("--app", "explained_app", "vocabulary:get_word", "7"), lambda app: app.get_word.key_for(7)),
        (("explained_app:translate", "7", "null"), lambda app: app.translate.key_for("7", None)),
        (("explained_app:translate", '"7"', "to=null"), lambda app: app.translate.key_for("7", None)),
        (("explained_app:translate_all", "Haus", "en"), lambda app: app.translate.key_for("Haus", "en")),
        (
            ("explained_app:Service.stats", str(uuid.UUID(int=1))),
            lambda app: app.Service().stats.key_for(uuid.UUID(int=1)),
        ),
        (
            ("langcache_cli.vocabulary:get_vocabulary_word", "7"),
            lambda _: "cache:vocabulary:get_vocabulary_word:7",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_key_is_that_of_the_call(line, key, explain):
    found = explain(*line, "--json")
    assert found.code == 0, found
    assert found.document["key"] == key(sys.modules.get("explained_app"))
    assert (found.document["outcome"], found.document["reason"]) == ("miss", "absent")
    assert found.document["entry"] is None


def test_what_stands_there_decides_what_a_call_would_be(explain, secured_redis):
    line = ("explained_app:get_word", "7")
    first = explain(*line, "--json").document
    schema, key = first["schema_of_value"], first["key"]
    head = "lc1 entry id=8d6eb6c50cbab1c5 leased={} created=1795420171538 fresh={} load_us=1500 "
    head += "schema={} tags={}\n1"
    later, earlier, none = 4102444800000, 1795420171539, "0" * 13
    version = "0123456789abcdef"
    cases = {
        "invalidated": head.format(none, later, schema, "f" * 16),
        "fresh": head.format(none, later, schema, version),
        "leased": head.format(later, later, schema, version),
        "schema": head.format(none, later, "00000000", version),
        "ended": head.format(none, earlier, schema, version),
        "loading": f"lc1 lease id=5c07a1be9f3d2264 created=1795420171390 tags={version}",
        "foreign": "x",
    }
    secured_redis.command("SET", "cache@tag:word:7", version)
    for reason, stored in cases.items():
        secured_redis.command("SET", key, stored, "EX", 60)
        found = explain(*line, "--json").document
        assert found["reason"] == reason, stored
        outcomes = {"fresh": "hit", "leased": "hit", "loading": "wait"}
        assert found["outcome"] == outcomes.get(reason, "miss")
        assert found["tags"] == ["word:7"]
        assert found["ttl_seconds"] == 120
    before = keys_of(secured_redis)
    shown = explain(*line)
    assert "A call now is a miss: something else than langcache wrote this key." in shown.stdout
    assert shown.stdout.startswith(f"{key}\n")
    assert "  tags        word:7\n" in shown.stdout
    assert keys_of(secured_redis) == before


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (("get_word", "7"), 2, "Type MODULE:FUNCTION"),
        (("explained_app:get_wrod", "7"), 2, "Type explained_app:get_word."),
        (("explained_app:plain",), 2, "is no cached function"),
        (("explained_nothing:get_word",), 2, "there is no module 'explained_nothing' here"),
        (("--app", "explained_app", "get_wrod"), 2, "Type vocabulary:get_word."),
        (("broken_app:get_word",), 78, "No module named 'explained_nothing'"),
        (("explained_app:get_word",), 2, "The arguments in its key are: number, level, language."),
        (("explained_app:get_word", "seven"), 2, "number=seven: input should be a valid integer"),
        (("explained_app:get_word", "7", "A1", "8"), 2, "'8' is one argument too many"),
        (("explained_app:get_word", "7", "number=8"), 2, "number is given twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_explained_says_what_to_type(line, code, says, explain):
    refused = explain(*line)
    assert refused.code == code, refused
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_cached_route_is_explained_by_its_name(call, redis_url):
    function = "examples.backend.videos:list_episodes"
    explained = call("keys", "explain", function, "series=haus", "--json", env={"REDIS_URL": redis_url})
    assert explained.document["key"] == "cache:episodes:list_episodes:haus"
    assert (explained.document["outcome"], explained.code) == ("miss", 0)
