"""What decides whether a stored body may be sent: how the response model makes JSON."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import create_model

from langcache_cli.routes import model_shape
from langcache_cli.routes.model_shape import digest_of_class, digest_of_model
from tests.unit.route_models import PAIRS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAIRS)
def test_models_that_make_other_json_have_other_digests(name):
    one, other = PAIRS[name]
    assert digest_of_model(one) == digest_of_model(one)
    assert digest_of_model(one) != digest_of_model(other)


def test_digests_are_the_same_in_every_process():
    def printed(seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.unit.route_models"]
        return subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    first = printed("1")
    assert len(first.splitlines()) == len(PAIRS)
    assert printed("2") == first


def test_models_that_share_models_are_looked_at_once():
    level = [create_model(f"L0{number}", x=(int, 0)) for number in range(2)]
    for depth in range(1, 15):
        parts = {"a": (level[0], None), "b": (level[1], None)}
        level = [create_model(f"L{depth}{number}", **parts) for number in range(2)]
    started = time.process_time()
    digest_of_model(level[0])
    assert time.process_time() - started < 5  # 4 s and 177 MB of text without that, twice as much by level


def test_models_that_nest_too_deeply_have_digests_of_the_process(monkeypatch):
    def too_deep(*_: object) -> bytes:
        raise RecursionError

    monkeypatch.setattr(model_shape._Digests, "of", too_deep)
    assert digest_of_model(int) != digest_of_model(int)


def test_response_classes_of_one_name_differ_by_what_they_do():
    def made(separator: str) -> type:
        class Spaced:
            media_type = "application/json"

            def render(self, content: str) -> bytes:
                return separator.join(content).encode()

        return Spaced

    assert digest_of_class(made(" ")) == digest_of_class(made(" "))
    assert digest_of_class(made(" ")) != digest_of_class(made("-"))
