"""What an endpoint and its dependencies read of a request, as FastAPI sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, OAuth2, OpenIdConnect
from fastapi.security.base import SecurityBase
from fastapi.security.http import HTTPBase
from pydantic import BaseModel

COOKIE, AUTHORIZATION = "Cookie", "Authorization"


@dataclass(frozen=True, slots=True)
class Reads:
    """What something reads of a request.

    Attributes:
        headers: Names of request headers, ``Cookie`` among them.
        inputs: True if it reads the path, the query or the body.
        anything: True if it takes the whole request.
    """

    headers: tuple[str, ...] = ()
    inputs: bool = False
    anything: bool = False

    def __bool__(self) -> bool:
        """True if there is anything."""
        return bool(self.headers or self.inputs or self.anything)

    def __add__(self, other: Reads) -> Reads:
        """What two things read."""
        headers = tuple(dict.fromkeys((*self.headers, *other.headers)))
        return Reads(headers, self.inputs or other.inputs, self.anything or other.anything)


def reads_of(dependant: Dependant) -> Reads:
    """What a dependency and those that it depends on read."""
    if isinstance(dependant.call, SecurityBase):
        return _reads_of_scheme(dependant.call)
    headers = [name for field in dependant.header_params for name in header_names(field)]
    if dependant.cookie_params:
        headers.append(COOKIE)
    found = Reads(
        tuple(headers),
        bool(dependant.path_params or dependant.query_params or dependant.body_params),
        bool(dependant.request_param_name or dependant.http_connection_param_name),
    )
    for inner in dependant.dependencies:
        found += reads_of(inner)
    return found


def header_names(field: Any) -> Iterator[str]:
    """The request headers that a header parameter is read from; those of a model's fields."""
    annotation = field.field_info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        converts = getattr(field.field_info, "convert_underscores", True)
        for name, inner in annotation.model_fields.items():
            yield inner.alias or (name.replace("_", "-") if converts else name)
    else:
        yield str(field.alias)


def _reads_of_scheme(scheme: SecurityBase) -> Reads:
    if isinstance(scheme, APIKeyHeader):
        return Reads((str(scheme.model.name),))
    if isinstance(scheme, APIKeyCookie):
        return Reads((COOKIE,))
    if isinstance(scheme, APIKeyQuery):
        return Reads(inputs=True)
    if isinstance(scheme, (HTTPBase, OAuth2, OpenIdConnect)):
        return Reads((AUTHORIZATION,))
    return Reads(anything=True)  # a scheme of the application
