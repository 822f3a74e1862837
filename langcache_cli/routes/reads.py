"""What an endpoint and its dependencies read of a request, as FastAPI sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
from fastapi.security.base import SecurityBase
from pydantic import AliasChoices, AliasPath, BaseModel

COOKIE, AUTHORIZATION = "Cookie", "Authorization"


@dataclass(frozen=True, slots=True)
class Reads:
    """What something reads of a request.

    Attributes:
        headers: Names of request headers, ``Cookie`` among them.
        inputs: True if it reads the path, the query or the body.
        anything: True if it takes the whole request.
        login: True if a security scheme is part of it.
    """

    headers: tuple[str, ...] = ()
    inputs: bool = False
    anything: bool = False
    login: bool = False

    def __bool__(self) -> bool:
        """True if there is anything."""
        return bool(self.headers or self.inputs or self.anything or self.login)

    def __add__(self, other: Reads) -> Reads:
        """What two things read."""
        return Reads(
            tuple(dict.fromkeys((*self.headers, *other.headers))),
            self.inputs or other.inputs,
            self.anything or other.anything,
            self.login or other.login,
        )


def reads_of(dependant: Dependant) -> Reads:
    """What a dependency and those that it depends on read."""
    if isinstance(dependant.call, SecurityBase):
        return _reads_of_scheme(dependant.call)
    found = Reads(
        (COOKIE,) if dependant.cookie_params else (),
        bool(dependant.path_params or dependant.query_params or dependant.body_params),
        bool(dependant.request_param_name or dependant.http_connection_param_name),
    )
    for header in dependant.header_params:
        found += reads_of_header(header)
    for inner in dependant.dependencies:
        found += reads_of(inner)
    return found


def reads_of_header(field: Any) -> Reads:
    """What a header parameter is read from: a header, those of a model's fields, or any."""
    converts = getattr(field.field_info, "convert_underscores", True)
    models = list(_models_in(field.field_info.annotation))
    if not models:
        return Reads(tuple(_names(field.field_info, str(field.alias))))
    names: list[str] = []
    for model in models:
        for name, inner in model.model_fields.items():
            names += _names(inner, name.replace("_", "-") if converts else name)
    return Reads(tuple(names), anything=any(one.model_config.get("extra") == "allow" for one in models))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation consists of: of a union, of `Annotated`, of a type alias."""
    annotation = getattr(annotation, "__value__", annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _names(info: Any, usual: str) -> Iterator[str]:
    """The names that a field is read by."""
    aliases = [info.alias, info.validation_alias]
    found = [name for alias in aliases if alias is not None for name in _texts_of(alias)]
    yield from dict.fromkeys(found or [usual])


def _texts_of(alias: Any) -> Iterator[str]:
    if isinstance(alias, AliasChoices):
        for choice in alias.choices:
            yield from _texts_of(choice)
    elif isinstance(alias, AliasPath):
        yield str(alias.path[0])
    else:
        yield str(alias)


def _reads_of_scheme(scheme: SecurityBase) -> Reads:
    if not type(scheme).__call__.__module__.startswith("fastapi.security"):
        return Reads(anything=True, login=True)  # a scheme of the application
    if isinstance(scheme, APIKeyHeader):
        return Reads((str(scheme.model.name),), login=True)
    if isinstance(scheme, APIKeyCookie):
        return Reads((COOKIE,), login=True)
    if isinstance(scheme, APIKeyQuery):
        return Reads(inputs=True, login=True)
    return Reads((AUTHORIZATION,), login=True)
