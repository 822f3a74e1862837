"""``langcache stats --textfile`` with settings that are wrong: the series keeps its namespace."""

import pytest


@pytest.fixture
def series(call, tmp_path, monkeypatch):
    """The series ``langcache_up`` that a failed run writes."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "langcache.prom"

    def run(*options, env=None):
        ended = call(*options, "stats", "--textfile", str(path), env=env)
        assert ended.code in (2, 78)
        (line,) = [line for line in path.read_text().splitlines() if line.startswith("langcache_up")]
        return line

    return run


def test_a_bad_url_leaves_the_namespace_as_it_is(series, tmp_path):
    bad = {"REDIS_URL": "nonsense"}
    assert series(env=bad) == 'langcache_up{namespace="cache"} 0'
    assert series(env={**bad, "LANGCACHE_NAMESPACE": "app"}) == 'langcache_up{namespace="app"} 0'
    assert series("--namespace", "given", env=bad) == 'langcache_up{namespace="given"} 0'
    (tmp_path / ".env").write_text("langcache_namespace=of_file\n")
    assert series(env=bad) == 'langcache_up{namespace="of_file"} 0'


def test_without_the_settings_file_it_is_that_of_the_textfile(series):
    assert series("--env-file", "none.env") == 'langcache_up{namespace=""} 0'
    assert series("--namespace", "app", "--env-file", "none.env") == 'langcache_up{namespace="app"} 0'
    assert series("--env-file", "none.env") == 'langcache_up{namespace="app"} 0'
    assert series(env={"LANGCACHE_NAMESPACE": "not allowed"}) == 'langcache_up{namespace="app"} 0'
