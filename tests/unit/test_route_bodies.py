"""The answer of a cached route is that of the route without the decorator, whatever option shapes it."""

import asyncio
import datetime as dt
import json
import os
from dataclasses import make_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, computed_field, create_model

from langcache_cli.caching.testing import memory_cache
from langcache_cli.fastapi import cached_route


class Level(Enum):
    A1 = "a1"
    B1 = "b1"


class Indented(JSONResponse):
    """A response class of an application."""

    media_type = "application/vnd.words+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, indent=1, sort_keys=True).encode()


class Computed(BaseModel):
    model_config = ConfigDict(populate_by_name=True, json_encoders=None)

    first: int = Field(1, alias="theFirst")

    @computed_field
    @property
    def second(self) -> int:
        return self.first + 1


VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers(-(2**40), 2**40)),
    (str, st.text(max_size=8)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=2)),
    (UUID, st.uuids()),
    (dt.datetime, st.datetimes(timezones=st.just(dt.UTC))),
    (dt.timedelta, st.timedeltas(dt.timedelta(0), dt.timedelta(days=9))),
    (Level, st.sampled_from(Level)),
    (list[int], st.lists(st.integers(-9, 9), max_size=3)),
    (dict[str, Any], st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=2)),
    (Computed, st.builds(Computed, first=st.integers(-9, 9))),
]
NAMES = ("text", "number", "in_level", "note")


@st.composite
def models(draw: st.DrawFn) -> tuple[Any, Any]:
    """A model and a value of it; fields may have an alias or a default, be optional, or not be set."""
    fields: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        kind, value = draw(st.sampled_from(VALUES))
        alias = draw(st.sampled_from([None, f"the-{name}"]))
        match draw(st.sampled_from(["required", "default", "optional", "unset"])):
            case "required":
                fields[name], values[name] = (kind, Field(alias=alias)), draw(value)
            case "default":
                default = draw(value)
                fields[name], values[name] = (kind, Field(default, alias=alias)), default
            case "optional":
                fields[name], values[name] = (kind | None, Field(None, alias=alias)), draw(value | st.none())
            case "unset":
                fields[name] = (kind | None, Field(None, alias=alias))
    if draw(st.integers(0, 4)) == 0:  # a dataclass has neither aliases nor fields that are not set
        kinds = {name: kind for name, (kind, _) in fields.items()}
        model = make_dataclass("Word", [(name, kind | None, None) for name, kind in kinds.items()])
        return model, model(**values)
    model = create_model("Word", __config__=ConfigDict(populate_by_name=True), **fields)
    return model, model(**values)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[Any, Any, dict[str, Any]]:
    """A return annotation, what the function returns, and the options of the route."""
    model, value = draw(models())
    annotation, value = draw(
        st.sampled_from(
            [
                (model, value),
                (list[model], [value, value]),
                (dict[str, model], {"one": value}),
                (model | None, value),
                (model | None, None),
                (Any, value),
                (None, [value]),
            ]
        )
    )
    options: dict[str, Any] = {}
    if annotation is None or draw(st.booleans()):
        options["response_model"] = annotation
    for name in ("exclude_unset", "exclude_defaults", "exclude_none", "by_alias"):
        if draw(st.booleans()):
            options[f"response_model_{name}"] = draw(st.booleans())
    if draw(st.booleans()):
        which = draw(st.sampled_from(["response_model_include", "response_model_exclude"]))
        options[which] = draw(st.sets(st.sampled_from(NAMES), max_size=2))
    if draw(st.integers(0, 3)) == 0:
        options["response_class"] = Indented
    return annotation, value, options


async def answer_of(app: FastAPI, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body; without the detours of a client."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


EXAMPLES = int(os.environ.get("LANGCACHE_TEST_SHAPES", "100"))
ADDED = (b"etag", b"x-cache", b"cache-control", b"age", b"vary")


async def compare(annotation: Any, value: Any, options: dict[str, Any]) -> None:
    async def read() -> Any:
        return value

    if annotation is not None:
        read.__annotations__["return"] = annotation
    async with memory_cache() as cache:
        router, app = APIRouter(), FastAPI(openapi_url=None)
        router.get("/plain", **options)(read)
        router.get("/cached", **options)(cached_route(key_prefix="words", cache=cache)(read))
        app.include_router(router)
        status, headers, body = await answer_of(app, "/plain")
        for _ in range(2):
            found_status, found_headers, found_body = await answer_of(app, "/cached")
            assert (found_status, found_body) == (status, body)
            outcome = found_headers[b"x-cache"]
            assert {name: text for name, text in found_headers.items() if name not in ADDED} == headers
        assert outcome == b"hit"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(shapes())
def test_status_headers_and_body_are_those_of_the_route_without_the_decorator(shape):
    asyncio.run(compare(*shape))
