"""The published schemas of ``--json``: every document that a test reads is compared with its own."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def require_valid(document: dict[str, Any]) -> None:
    """Fail where a document is not what its schema says."""
    name = str(document["schema"])
    error = best_match(_validator(name).iter_errors(document))
    assert error is None, f"{name}: {error.json_path}: {error.message}"


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads(path_of(name).read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def path_of(name: str) -> Path:
    """The file of a schema such as ``langcache.stats/1``."""
    return FOLDER / f"{name.replace('/', '-')}.json"
