"""An error reaches those who waited for a load as it is, or not at all."""

import traceback

import pytest

from langcache_cli.caching._single_flight.shared_errors import MAX_BYTES, describe, described, own_copy


class NotFoundError(LookupError):
    def __init__(self, word: str, *, status: int = 404) -> None:
        super().__init__(f"there is no {word!r}")
        self.word = word
        self.status = status


class KeywordError(Exception):
    def __init__(self, *, cause: object) -> None:
        self.cause = cause


@pytest.mark.parametrize(
    "error", [ValueError("bad", 3), KeyError("a"), OSError(2, "gone"), TimeoutError(), NotFoundError("Haus")]
)
def test_plain_errors_travel(error):
    arrived = described(describe(error))
    assert type(arrived) is type(error)
    assert (arrived.args, str(arrived)) == (error.args, str(error))
    assert getattr(arrived, "status", None) == getattr(error, "status", None)
    assert getattr(arrived, "errno", None) == getattr(error, "errno", None)


def local_error():
    class LocalError(Exception):
        pass

    return LocalError("unknown elsewhere")


@pytest.mark.parametrize(
    "error",
    [
        ValueError(object()),
        ValueError(b"bytes"),
        ValueError((1, 2)),
        KeywordError(cause=object()),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        ExceptionGroup("several", [ValueError("one")]),
        ValueError("x" * MAX_BYTES),
        local_error(),
    ],
    ids=["object", "bytes", "tuple", "attribute", "unicode", "group", "long", "local"],
)
def test_others_do_not(error):
    assert describe(error) == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"{}",
        b"[]",
        b'["os", "system", ["true"], {}]',
        b'["builtins", "SystemExit", [1], {}]',
        b'["builtins", "ValueError", 1, {}]',
        b'["builtins", "ValueError", [], []]',
        b'["no_such_module", "Error", [], {}]',
        b'["builtins", "UnicodeDecodeError", [1], {"__class__": 1}]',
        b'["builtins", "ValueError", ["' + b"x" * MAX_BYTES + b'"], {}]',
    ],
    ids=range(11),
)
def test_whatever_stands_in_redis_is_an_exception_or_nothing(text):
    assert described(text) is None


def test_each_caller_has_its_own_traceback():
    def fails():
        raise NotFoundError("Haus") from KeyError("row")

    with pytest.raises(NotFoundError) as first:
        fails()
    error, tb = first.value, first.value.__traceback__
    depths = []
    for _ in range(3):
        with pytest.raises(NotFoundError) as again:
            raise own_copy(error, tb)
        assert again.value is not error
        assert again.value.__cause__ is error.__cause__
        assert vars(again.value) == vars(error)
        depths.append(len(traceback.extract_tb(again.value.__traceback__)))
    assert len(set(depths)) == 1


def test_an_error_that_cannot_be_copied_is_raised_itself():
    class StubbornError(Exception):
        def __new__(cls, *args):
            if not args:
                raise TypeError("an argument is missing")
            return super().__new__(cls, *args)

        def __init__(self, *args):
            super().__init__()

    error = StubbornError("x")
    assert own_copy(error, None) is error
