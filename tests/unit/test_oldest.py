"""The oldest versions that the package declares are the ones that `nox -s oldest` tests."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def declared() -> dict[str, str]:
    """The lower bound of each requirement of the package and of its extras for the web."""
    extras = PROJECT["optional-dependencies"]
    requirements = map(
        Requirement,
        [
            *PROJECT["dependencies"],
            *extras["fastapi"],
            *extras["prometheus"],
            *extras["dashboard"],
            *extras["otel"],
        ],
    )
    return {
        canonicalize_name(requirement.name): bound.version
        for requirement in requirements
        for bound in requirement.specifier
        if bound.operator == ">="
    }


def pinned() -> dict[str, str]:
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_lower_bound_is_tested():
    assert {name: three_parts(version) for name, version in pinned().items()} == {
        name: three_parts(version) for name, version in declared().items()
    }


def test_every_requirement_has_a_lower_bound():
    requirements = map(Requirement, PROJECT["dependencies"])
    assert {canonicalize_name(requirement.name) for requirement in requirements} <= set(declared())


def three_parts(version: str) -> str:
    """`2.12` as `2.12.0`."""
    return ".".join([*version.split("."), "0", "0"][:3])
