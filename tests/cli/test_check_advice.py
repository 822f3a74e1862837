"""What ``langcache check`` and ``doctor`` say to type next: it has to work where it is said."""

import re
import socket
import socketserver
import threading
import time

import pytest

from tests.cli.cli_support import complaint, sqlite_database, url_of, words

COLD = ("check", "--require-warm", "vocabulary")


@pytest.fixture
def env(secured_redis, state_folder):
    return {"REDIS_URL": url_of(secured_redis), "LANGCACHE_STATE_DIR": str(state_folder)}


def last_line(ended):
    assert ended.code == 1
    return ended.stdout.splitlines()[-1]


def test_a_cold_type_without_a_database_is_warmed_from_the_sample(call, env):
    assert "'langcache warm --sample'" in last_line(call(*COLD, env=env))
    assert "--sample" not in last_line(call(*COLD, env={**env, "LANGCACHE_ENV": "prod"}))
    assert last_line(call(*COLD, "--sample", env=env)) == "Run 'langcache warm --sample --type vocabulary'."
    assert call("warm", "--sample", "--type", "vocabulary", "--level", "A1", env=env).code == 0
    assert call(*COLD, env=env).code == 0


def test_a_cold_type_with_a_database_is_warmed_from_it(call, env, tmp_path):
    env["DATABASE_URL"] = sqlite_database(tmp_path / "words.db", [*words(3)])
    assert last_line(call(*COLD, env=env)) == "Run 'langcache warm --type vocabulary'."
    assert call("warm", "--type", "vocabulary", env=env).code == 0
    assert call(*COLD, env=env).code == 0


def test_entries_of_another_namespace_are_named_if_this_one_is_empty(call, env, secured_redis):
    secured_redis.command("SET", "app:vocabulary:f:1", "lc1 entry id=5c07a1be9f3d2264 created=1795420171390")
    secured_redis.command("SET", "session:1:2", "of another program")
    says = "The namespace cache is empty, and there are entries in app: check LANGCACHE_NAMESPACE"
    ended = call(*COLD, env=env)
    assert says in last_line(ended)
    assert complaint(ended) == "langcache: 1 check failed"
    assert call(*COLD, env={**env, "LANGCACHE_NAMESPACE": "app"}).code == 0
    secured_redis.command("SET", "cache:translation:f:1", "v")
    assert says not in last_line(call(*COLD, env=env))


def test_the_document_has_the_advice_for_each_failed_check(call, env):
    document = call(*COLD, "--min-keys", "translation=9", "--json", env=env).document
    redis, vocabulary, translation = document["checks"]
    assert "hint" not in redis
    assert "warm --sample" in vocabulary["hint"]
    assert "warm --app" in translation["hint"]
    away = call("check", "--json", env={**env, "REDIS_URL": "redis://127.0.0.1:1/0"}).document
    assert "langcache redis start" in away["checks"][0]["hint"]


class _Web(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def test_what_is_not_redis_is_called_so(call, monkeypatch, state_folder):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_address[1]}"
        env = {"REDIS_URL": f"redis://:pw@{where}/0", "LANGCACHE_STATE_DIR": str(state_folder)}
        for line in ("check", "stats", "doctor", "keys list"):
            ended = call(*line.split(), env=env)
            assert ended.code == 69
            everything = ended.stdout + ended.stderr
            assert re.search("what listens .* is not Redis", everything)
            assert "start a local one" not in everything.lower()
            assert "Set REDIS_URL" in everything
        (finding,) = call("doctor", "--json", env=env).document["findings"]
        assert finding["name"] == "not-redis"
        assert finding["found"] == f"what listens at {where} is not Redis"
        assert "REDIS_URL" in finding["mend"]
        server.shutdown()


def test_a_redis_and_a_database_that_hang_cost_one_timeout_together(call, own_redis):
    server = own_redis()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/n"
        env = {"REDIS_URL": server.url, "DATABASE_URL": database}
        call("--timeout", "0.1", "check", env=env)  # imports what takes long
        server.pause()
        started = time.monotonic()
        ended = call("--timeout", "2", "check", "--json", env=env)
        seconds = time.monotonic() - started
        server.resume()
    assert [one["result"] for one in ended.document["checks"]] == ["failed", "failed"]
    assert 1.9 < seconds < 3.9
