"""The public doors of the core: what they export, and that tools find where it comes from.

httpx sets `__module__` of all it exports to the package, so that tracebacks show `httpx.Client`. Here classes
keep the module that defines them: their annotations are resolved in it (`typing.get_type_hints`, pydantic,
FastAPI), and `inspect.getsource` reads its file. The last tests below fail when `__module__` is changed.
"""

import importlib
import inspect
import pickle
import typing
from types import ModuleType

import pytest

import langcache_cli.caching

DOORS = [importlib.import_module(f"langcache_cli.caching{name}") for name in ("", ".testing", ".tooling")]
EXPORTED = [(door, name) for door in DOORS for name in door.__all__]
CLASSES = [
    pytest.param(value, id=f"{door.__name__}.{name}")
    for door, name in EXPORTED
    if isinstance(value := getattr(door, name), type)
]

# Those of tooling have annotations that are imported for type checkers only.
FOR_APPLICATIONS = [parameter for parameter in CLASSES if ".tooling." not in str(parameter.id)]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_nothing_is_public_but_what_is_exported(door):
    names = {name for name in vars(door) if not name.startswith("_")}
    modules = {name for name in names if isinstance(getattr(door, name), ModuleType)}
    assert names - modules == set(door.__all__)
    assert modules <= {"fixtures", "sync", "testing", "tooling"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_names_are_sorted_and_there_are_no_duplicates(door):
    assert door.__all__ == sorted(set(door.__all__), key=kind_and_name)


def kind_and_name(name: str) -> tuple[bool, bool, str]:
    """Constants, then classes, then functions."""
    return (not name.isupper(), name[0].islower(), name)


def test_an_application_has_few_names_to_learn():
    assert 25 <= len(langcache_cli.caching.__all__) <= 35


def test_no_name_is_exported_by_two_doors():
    names = [name for _, name in EXPORTED]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("exported", CLASSES)
def test_a_class_is_pickled_by_reference(exported):
    assert pickle.loads(pickle.dumps(exported)) is exported


@pytest.mark.parametrize("exported", CLASSES)
def test_the_source_of_a_class_can_be_found(exported):
    assert f"class {exported.__name__}" in inspect.getsource(exported)


@pytest.mark.parametrize("exported", FOR_APPLICATIONS)
def test_the_annotations_of_a_class_can_be_resolved(exported):
    typing.get_type_hints(exported)
