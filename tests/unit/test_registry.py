"""Two functions that would share their keys are refused when the second one is decorated."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from langcache_cli.caching._front.functions.registry import Registry
from langcache_cli.caching._functions.spec import FunctionSpec

MODULE = "async def get_word(word_id: int) -> str: ...\n"


def register(registry: Registry, function: Callable[..., Any], prefix: str = "vocabulary") -> None:
    registry.add(FunctionSpec(function, {"key_prefix": prefix}))


def loaded(file: str, source: str = MODULE, name: str = "words") -> Callable[..., Any]:
    scope: dict[str, Any] = {"__name__": name}
    exec(compile(source, file, "exec"), scope)
    return scope["get_word"]


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def test_two_functions_with_one_prefix_and_name_are_refused_naming_both_and_the_way_out():
    registry = Registry()
    register(registry, loaded("words.py", name="app.words"))
    with pytest.raises(TypeError) as caught:
        register(registry, loaded("admin.py", name="app.admin"))
    assert str(caught.value) == (
        "app.admin.get_word and app.words.get_word would share the keys 'vocabulary:get_word:...'; "
        "give one of them another key_prefix"
    )


def test_another_prefix_or_another_name_is_fine():
    registry = Registry()
    register(registry, loaded("words.py"))
    register(registry, loaded("admin.py"), prefix="admin")


def test_methods_of_two_classes_in_one_file_are_refused():
    class Words:
        async def get(self, word_id: int) -> str: ...

    class Phrases:
        async def get(self, word_id: int) -> str: ...

    registry = Registry()
    register(registry, Words.get)
    with pytest.raises(TypeError, match=r"Phrases\.get and .*Words\.get would share"):
        register(registry, Phrases.get)


def test_a_reloaded_module_replaces_its_functions():
    registry = Registry()
    register(registry, loaded("words.py"))
    register(registry, loaded("words.py"))
    register(registry, loaded("words.py", source="\n\n" + MODULE))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/tmp/ipykernel_7/123.py", "/tmp/ipykernel_7/456.py"),
        ("<ipython-input-1-abc>", "<ipython-input-2-def>"),
        ("<python-input-0>", "<python-input-1>"),
    ],
)
def test_an_edited_cell_of_a_notebook_replaces_its_function(first, second):
    registry = Registry()
    register(registry, loaded(first, name="__main__"))
    edited = loaded(second, source=MODULE.replace("...", "return 'new'"), name="__main__")
    register(registry, edited)
    with pytest.raises(TypeError, match="would share the keys"):
        register(registry, loaded("words.py", name="__main__"))


def test_a_module_imported_by_name_and_as_main_is_one_module():
    registry = Registry()
    register(registry, loaded("words.py", name="words"))
    register(registry, loaded("words.py", name="__main__"))


def test_functions_behind_the_same_decorator_are_told_apart():
    registry = Registry()
    register(registry, traced(loaded("words.py")))
    register(registry, traced(loaded("words.py")))
    with pytest.raises(TypeError, match="would share the keys"):
        register(registry, traced(loaded("admin.py")))


def translator(language: object) -> Callable[..., Any]:
    async def translate(text: str) -> str:
        return f"{text} in {language}"

    return translate


def test_a_function_made_twice_with_other_variables_around_it_is_refused():
    registry = Registry()
    register(registry, translator("de"))
    with pytest.raises(TypeError, match="would share the keys"):
        register(registry, translator("fr"))
    register(registry, translator("fr"), prefix="french")


def test_lists_that_are_equal_today_may_differ_tomorrow():
    registry = Registry()
    register(registry, translator([]))
    with pytest.raises(TypeError, match="would share the keys"):
        register(registry, translator([]))


def test_a_function_made_twice_with_the_same_variables_around_it_is_one():
    registry = Registry()
    language = object()
    register(registry, translator(language))
    register(registry, translator(language))


def application() -> Callable[..., Any]:
    async def get_word(word_id: int) -> str: ...

    return get_word


def test_a_function_made_twice_with_nothing_around_it_is_one():
    registry = Registry()
    register(registry, application())
    register(registry, application())


def test_a_function_that_calls_itself_can_be_registered():
    def made() -> Callable[..., Any]:
        async def count(number: int) -> int:
            return 1 + await count(number - 1)

        return count

    register(Registry(), made())


def test_each_registry_stands_for_itself():
    register(Registry(), translator("de"))
    register(Registry(), translator("fr"))
