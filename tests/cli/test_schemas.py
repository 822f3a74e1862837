"""Every document that the command prints has a published schema."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from tests.harness.cli import ROOT
from tests.harness.schemas import FOLDER, path_of, require_valid

NAME = re.compile(r'\.document\(\s*"([a-z.]+)"')


def printed() -> set[str]:
    """The names of the documents in the source."""
    sources = (ROOT / "langcache_cli" / "cli").rglob("*.py")
    return {name for source in sources for name in NAME.findall(source.read_text("utf-8"))}


def test_every_document_has_a_schema_and_every_schema_a_document():
    files = {path.name for path in FOLDER.glob("*.json")}
    expected = {path_of(f"langcache.{name}/1").name for name in {*printed(), "overview"}}
    assert files == expected


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_is_one_and_names_its_document(path):
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    name = schema["title"]
    assert path == path_of(name)
    assert schema["properties"]["schema"] == {"const": name}


def test_a_document_that_is_not_as_its_schema_says_fails():
    require_valid({"schema": "langcache.version/1", "version": "0.1.0"})
    for wrong in ({}, {"version": 1}, {"version": "0.1.0", "more": 1}):
        with pytest.raises(AssertionError, match=r"langcache\.version/1"):
            require_valid({"schema": "langcache.version/1", **wrong})
