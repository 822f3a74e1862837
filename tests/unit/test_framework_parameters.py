"""Parameters that a framework provides: sessions and what is written to are not part of keys."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest
import sqlalchemy as sa
from fastapi import BackgroundTasks, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker

from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.framework_parameters import database_sessions

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession as Unseen  # noqa: F401 - exists for type checkers only


class Session:
    """An application's own class, such as a login session."""


class OurSession(AsyncSession):
    """An application's subclass of SQLAlchemy's session."""


def needed() -> None: ...


SessionDependency = Annotated[AsyncSession, needed]
MaybeDependency = Annotated[AsyncSession | None, needed]

DATABASE_SESSIONS = [
    "AsyncSession",
    "'AsyncSession'",
    "AsyncSession | None",
    "None | AsyncSession",
    "Optional[AsyncSession]",
    "Union[AsyncSession, orm.Session, None]",
    "Annotated[AsyncSession, needed]",
    "Annotated[AsyncSession | None, needed]",
    "Annotated[AsyncSession, needed] | None",
    "Optional[Annotated['AsyncSession', needed]]",
    "SessionDependency",
    "SessionDependency | None",
    "MaybeDependency",
    "OurSession",
    "orm.Session",
    "orm.scoped_session[orm.Session]",
    "async_scoped_session[AsyncSession]",
    "async_sessionmaker[AsyncSession]",
    "orm.sessionmaker[orm.Session]",
    "sa.Connection",
    "sa_asyncio.AsyncConnection",
    "AsyncConnection",
    "AsyncConnection | None",
    "Annotated[AsyncConnection, needed]",
    "unseen.AsyncSession",
]
OTHERS = [
    "Session",
    "Session | None",
    "int",
    "Any",
    "str | AsyncSession",
    "dict[str, AsyncSession]",
    "Annotated[int, AsyncSession]",
    "UnseenSession",
    "Unseen",
    "sa.Engine",
    "type[AsyncSession]",
]


def function_with(annotation: Any) -> Callable[..., Any]:
    async def load(word_id: int, db=None) -> None: ...

    load.__annotations__["db"] = annotation
    return load


def sessions_of(function: Callable[..., Any]) -> set[str]:
    return database_sessions(function, inspect.signature(function).parameters)


@pytest.mark.parametrize("annotation", DATABASE_SESSIONS)
def test_a_session_is_detected_in_a_textual_annotation(annotation):
    assert sessions_of(function_with(annotation)) == {"db"}


@pytest.mark.parametrize("annotation", [item for item in DATABASE_SESSIONS if "nseen" not in item])
def test_a_session_is_detected_in_an_evaluated_annotation(annotation):
    if "AsyncConnection" not in annotation or "sa_asyncio" in annotation:
        assert sessions_of(function_with(eval(annotation))) == {"db"}


@pytest.mark.parametrize("annotation", OTHERS)
def test_other_annotations_are_not_sessions(annotation):
    assert sessions_of(function_with(annotation)) == set()


def test_an_application_class_named_session_is_part_of_the_key():
    async def get_profile(session: Session | str) -> None: ...

    keys = KeyBuilder(get_profile, prefix="p")
    assert keys.key("n", ("a",), {}) != keys.key("n", ("b",), {})


def test_annotations_of_a_decorated_function_are_resolved_in_its_own_module():
    function = function_with("SessionDependency")

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    elsewhere = functools.update_wrapper(eval("lambda *args, **kwargs: None", {}), function)
    assert sessions_of(wrapper) == sessions_of(elsewhere) == {"db"}


def test_a_template_can_include_a_session():
    function = function_with("AsyncSession")
    keys = KeyBuilder(function, prefix="p", template="{db}")
    assert keys.key("n", (7, "main"), {}) == "n:p:load:main"


NAMES_USED_BY_THE_ANNOTATIONS = (
    Optional,
    Union,
    sa,
    orm,
    sa_asyncio,
    async_scoped_session,
    async_sessionmaker,
)


# -- of Starlette and FastAPI --


class OurResponse(JSONResponse):
    """An application's subclass."""


@pytest.mark.parametrize("kind", [Response, OurResponse, BackgroundTasks, "Response", Response | None])
def test_what_a_function_only_writes_to_is_not_part_of_its_key(kind):
    async def read(word_id: int, sink: Any) -> str: ...

    read.__annotations__["sink"] = kind
    keys = KeyBuilder(read, prefix="vocabulary")
    assert keys.in_key == ("word_id",)
    assert keys.key("cache", (7,), {}) == keys.key("cache", (7, object()), {})


@pytest.mark.parametrize("options", [{}, {"template": "{request}"}, {"template": "{word_id}:{request}"}])
def test_a_request_is_no_part_of_a_key(options):
    async def read(word_id: int, request: Request) -> str: ...

    with pytest.raises(TypeError, match="'request' is a request, which can never be part of a key") as error:
        KeyBuilder(read, prefix="vocabulary", **options)
    assert "key=" in str(error.value)
    assert "ignore=" in str(error.value)


def test_what_a_request_has_can_be_part_of_a_key():
    async def read(word_id: int, request: Request) -> str: ...

    for options in ({"template": "{word_id}:{request.url.path}"}, {"ignore": ("request",)}):
        assert "word_id" in KeyBuilder(read, prefix="vocabulary", **options).in_key
