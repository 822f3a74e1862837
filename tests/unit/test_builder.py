"""The Redis keys of calls."""

import functools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.caching import Cache, CacheSettings
from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.key_template import KeyTemplate
from langcache_cli.caching._keys.shortening import MAX_KEY_BYTES, shorten
from tests.unit.values import marks, texts, values


class Vocabulary:
    async def get_vocabulary_word(self, word_id: int, db: AsyncSession) -> None: ...

    async def make(cls: Any, name: str) -> None: ...  # noqa: N805 - what a class method wraps


get_vocabulary_word = Vocabulary.get_vocabulary_word


async def get_vocabulary_level(
    level: str, limit: int, offset: int, db: AsyncSession, language: str = "de"
) -> None: ...


async def translate_text(text: str, source: str = "en", target: str = "de") -> None: ...


async def get_user_vocabulary_stats(user_id: int, db: AsyncSession) -> None: ...


async def anything(first: Any, second: Any = None, *rest: Any, third: Any = "x", **more: Any) -> None: ...


def key_of(function: Any, *args: Any, prefix: str = "p", **kwargs: Any) -> str:
    return KeyBuilder(function, prefix=prefix).key("cache", args, kwargs)


class TestExamples:
    def test_one_word(self):
        key = key_of(get_vocabulary_word, prefix="vocabulary", word_id=7)
        assert key == "cache:vocabulary:get_vocabulary_word:7"

    def test_the_words_of_a_level(self):
        key = key_of(get_vocabulary_level, "A1", 250, 0, object(), prefix="vocabulary_level")
        assert key == "cache:vocabulary_level:get_vocabulary_level:A1:250:0:de"

    def test_a_translation(self):
        key = key_of(translate_text, "Hello world", prefix="translation")
        assert key == "cache:translation:translate_text:Hello world:en:de"

    def test_a_template(self):
        keys = KeyBuilder(get_user_vocabulary_stats, prefix="vocabulary_stats", template="user:{user_id}")
        key = keys.key("cache", (42,), {})
        assert key == "cache:vocabulary_stats:get_user_vocabulary_stats:user:42"


def test_positional_named_and_default_arguments_give_one_key():
    spellings = [
        key_of(translate_text, "a", "en", "de"),
        key_of(translate_text, "a"),
        key_of(translate_text, text="a"),
        key_of(translate_text, target="de", text="a", source="en"),
    ]
    assert len(set(spellings)) == 1


def test_the_key_is_the_same_with_and_without_a_session():
    assert key_of(get_vocabulary_word, 7, object()) == key_of(get_vocabulary_word, word_id=7)


def test_ignored_parameters_make_no_difference():
    keys = KeyBuilder(translate_text, prefix="p", ignore=("source",))
    assert keys.key("n", ("a",), {"source": "fr"}) == keys.key("n", ("a",), {}) == "n:p:translate_text:a:de"


def test_a_function_without_arguments_has_one_key():
    async def everything() -> None: ...

    assert key_of(everything) == "cache:p:everything"


def test_the_class_of_a_class_method_is_not_part_of_the_key():
    assert key_of(Vocabulary.make, "a") == "cache:p:make:a"


def arguments() -> st.SearchStrategy[tuple[tuple[Any, ...], dict[str, Any]]]:
    named = st.fixed_dictionaries({}, optional={"third": values, "more": values, "other": values})
    return st.tuples(st.lists(values, min_size=1, max_size=4).map(tuple), named)


def bound_marks(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    more = {name: item for name, item in kwargs.items() if name != "third"}
    first, second, rest = args[0], args[1] if len(args) > 1 else None, args[2:]
    return marks((first, second, rest, kwargs.get("third", "x"), more))


@settings(max_examples=60)
@given(st.lists(arguments(), min_size=2, max_size=6))
def test_two_calls_share_a_key_exactly_if_their_arguments_are_equal(calls):
    found = {key_of(anything, *args, **kwargs): bound_marks(args, kwargs) for args, kwargs in calls}
    assert len(found) == len({bound_marks(args, kwargs) for args, kwargs in calls})
    for args, kwargs in calls:
        assert found[key_of(anything, *args, **kwargs)] == bound_marks(args, kwargs)


@given(texts, texts, texts, texts)
def test_neighbouring_arguments_stay_separate(left, right, other_left, other_right):
    equal = (left, right) == (other_left, other_right)
    assert (key_of(translate_text, left, right) == key_of(translate_text, other_left, other_right)) == equal


@given(arguments())
def test_a_key_is_short_and_free_of_special_characters(call):
    args, kwargs = call
    key = key_of(anything, *args, **kwargs)
    assert len(key.encode("utf-8")) <= MAX_KEY_BYTES
    assert key.startswith("cache:p:anything:")
    assert not re.search(r"[*?\[\]\\^{}\x00-\x1f\x7f-\x9f]", key)


class TestLongKeys:
    def test_a_key_of_200_bytes_is_unchanged(self):
        key = "x" * 199 + "é"
        assert shorten(key[1:]) == key[1:]
        assert shorten(key) != key

    @given(st.text("aé日\U0001f600", min_size=60, max_size=400))
    def test_a_digested_key_keeps_its_head_and_is_short_in_any_alphabet(self, text):
        key = key_of(translate_text, text, prefix="translation")
        assert key.startswith("cache:translation:translate_text:" + text[:20])
        assert len(key.encode("utf-8")) <= MAX_KEY_BYTES

    @given(st.integers(0, 599), st.integers(0, 599))
    def test_a_different_letter_anywhere_changes_the_key(self, place, other):
        at, at_other = ("a" * n + "b" + "a" * (600 - n) for n in (place, other))
        assert (key_of(translate_text, at) == key_of(translate_text, at_other)) == (place == other)

    def test_no_argument_can_imitate_a_digest(self):
        key = key_of(translate_text, "a" * 300)
        head, _, imitation = key.rpartition(":")
        assert head == "cache:p:translate_text"
        assert re.fullmatch("a+%#[0-9a-f]{32}", imitation)
        assert key_of(translate_text, imitation) != key
        assert "%#" not in key_of(translate_text, imitation[-35:])

    def test_a_template_and_a_namespace_are_part_of_the_digest(self):
        keys = KeyBuilder(translate_text, prefix="p", template="x:{text}:{source}")
        assert keys.key("n", ("a" * 300, "b"), {}) != keys.key("n", ("a" * 300, "c"), {})
        assert keys.key("n", ("a" * 300, "b"), {})[-32:] != keys.key("m", ("a" * 300, "b"), {})[-32:]


class TestTemplates:
    @pytest.mark.parametrize(
        "template",
        [
            "user:{user}",
            "{word_id[}",
            "{word_id.}",
            "{word_id.a b}",
            "{word_id!r}",
            "{word_id:>5}",
            "{}",
            "{0}",
            "{word_id",
            "word_id}",
            "{{word_id}}",
            "{word_id}{language}",
            "{word_id}-{language}",
            "a*:{word_id}",
            "a b:{word_id}",
            "a%3A:{word_id}",
            "é:{word_id}",
            "a\n:{word_id}",
        ],
    )
    def test_an_unsafe_template_is_rejected_at_decoration(self, template):
        async def get_word(self: Any, word_id: int, language: str) -> None: ...

        with pytest.raises(TypeError, match="template"):
            KeyBuilder(get_word, prefix="p", template=template)

    def test_the_message_names_the_function_and_the_unknown_parameter(self):
        with pytest.raises(TypeError, match=r"names 'user', which translate_text\(\) does not take"):
            KeyBuilder(translate_text, prefix="p", template="user:{user}")

    @given(texts, texts, texts, texts)
    def test_neighbouring_values_in_a_template_stay_separate(self, left, right, other_left, other_right):
        keys = KeyBuilder(translate_text, prefix="p", template="v1:{text}:to:{target}.x")
        same = (left, right) == (other_left, other_right)
        key = keys.key("n", (left,), {"target": right})
        assert (key == keys.key("n", (other_left,), {"target": other_right})) == same

    def test_a_template_uses_defaults_and_may_name_a_parameter_twice(self):
        keys = KeyBuilder(translate_text, prefix="p", template="{target}:{text}:{target}")
        assert keys.key("n", ("a",), {}) == "n:p:translate_text:de:a:de"

    def test_a_constant_template_is_one_key(self):
        assert KeyTemplate.parse("all").names == ()
        keys = KeyBuilder(translate_text, prefix="p", template="all")
        assert keys.key("n", (), {}) == "n:p:translate_text:all"


class TestErrors:
    def test_the_error_for_a_value_without_a_stable_form_names_the_parameter_and_a_remedy(self):
        with pytest.raises(TypeError, match=r"translate_text\(\): the argument 'source' .* key=") as caught:
            key_of(translate_text, "a", object())
        assert "ignore" not in str(caught.value)  # two users would share an entry

    def test_a_missing_argument_is_named(self):
        with pytest.raises(TypeError, match=r"translate_text\(\) needs 'text'"):
            key_of(translate_text, source="de")

    def test_an_unknown_argument_is_named(self):
        with pytest.raises(TypeError, match=r"translate_text\(\): .*'wrod_id'"):
            key_of(translate_text, "a", wrod_id=7)

    def test_too_many_arguments_are_rejected(self):
        with pytest.raises(TypeError, match=r"translate_text\(\)"):
            key_of(translate_text, 1, 2, 3, 4)

    def test_an_unknown_parameter_to_ignore_is_rejected(self):
        with pytest.raises(TypeError, match=r"translate_text\(\) has no parameter 'sorce' to ignore"):
            KeyBuilder(translate_text, prefix="p", ignore=("sorce",))

    @pytest.mark.parametrize("prefix", ["", "a:b", "a*", "a b", "ä", "a\n", "x" * 65])
    def test_an_unsafe_prefix_is_rejected(self, prefix):
        with pytest.raises(TypeError, match="key_prefix"):
            KeyBuilder(translate_text, prefix=prefix)

    def test_a_callable_without_a_name_is_rejected(self):
        with pytest.raises(TypeError, match="no name"):
            KeyBuilder(functools.partial(translate_text, "a"), prefix="p")


class TestDecoratedFunctions:
    @pytest.fixture
    def cache(self) -> Cache:
        return Cache(CacheSettings.load(env_file=None, namespace="test"))

    def test_a_function_returns_its_keys(self, cache):
        translate = cache.cached(key_prefix="translation")(translate_text)
        assert (
            translate.key_for("Haus")
            == translate.key_for(text="Haus")
            == "test:translation:translate_text:Haus:en:de"
        )

    def test_a_method_returns_its_keys_through_its_class_and_its_instance(self, cache):
        class Service:
            @cache.cached(key_prefix="vocabulary")
            async def get(self, word_id: int) -> None: ...

        assert Service.get.key_for(word_id=7) == Service().get.key_for(7) == "test:vocabulary:get:7"

    def test_class_and_static_methods_return_their_keys(self, cache):
        class Service:
            @classmethod
            @cache.cached(key_prefix="vocabulary")
            async def of_class(cls, word_id: int) -> None: ...

            @staticmethod
            @cache.cached(key_prefix="vocabulary")
            async def of_nothing(word_id: int) -> None: ...

        assert Service.of_class.key_for(word_id=7) == "test:vocabulary:of_class:7"
        assert Service.of_nothing.key_for(7) == "test:vocabulary:of_nothing:7"

    def test_a_template_with_an_unknown_parameter_fails_when_the_module_is_imported(self, cache):
        with pytest.raises(TypeError, match="template"):
            cache.cached(key_prefix="translation", key="{user}")(translate_text)
