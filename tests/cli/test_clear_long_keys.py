"""``langcache clear --pattern`` and keys whose end is a digest, because they would be too long."""

from langcache_cli.caching._keys.shortening import MAX_KEY_BYTES, shorten
from tests.cli.cli_support import keys_of, url_of

PREFIX = "cache:translation:translate_text"
LONG = "A sentence as it stands in subtitles and books. " * 5


def test_a_pattern_that_names_what_a_long_key_has_lost_removes_it(secured_redis, call):
    fits = {f"{PREFIX}:Hello:en:de", shorten(f"{PREFIX}:{LONG}:en:de")}
    others = {f"{PREFIX}:Hello:en:fr", shorten(f"cache:vocabulary:f:{LONG}:en:de")}
    assert max(map(len, fits)) <= MAX_KEY_BYTES
    assert not all(key.endswith(":de") for key in fits)
    for key in fits | others:
        secured_redis.command("SET", key, "1")
    env = {"REDIS_URL": url_of(secured_redis)}
    dry = call("clear", "--pattern", f"{PREFIX}:*:en:de", "--dry-run", env=env)
    assert {line.strip() for line in dry.stdout.splitlines()[1:]} == fits
    assert keys_of(secured_redis) == fits | others
    assert call("clear", "--pattern", f"{PREFIX}:*:en:de", "--yes", env=env).code == 0
    assert keys_of(secured_redis) == others
