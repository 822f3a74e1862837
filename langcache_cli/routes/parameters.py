"""What the parameters of an endpoint are, and whether its answers could reach the wrong user.

Everything that an answer may depend on has to be part of the key. Paths, queries, headers, cookies and bodies
are, unless ``key=`` or ``ignore=`` says otherwise. A dependency may return whatever it likes: it has to be
named in one of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from langcache_cli.caching.tooling import database_sessions, key_parameters, signature_of

try:
    from fastapi.dependencies.models import Dependant
    from fastapi.dependencies.utils import get_dependant
    from fastapi.security.base import SecurityBase

    from langcache_cli.routes.reads import COOKIE, Reads, reads_of, reads_of_header
except ImportError:  # a Starlette application
    get_dependant = None  # type: ignore[assignment]

from langcache_cli.routes.used_names import uses

_SECRET = re.compile("authorization|cookie|token|secret|api-?key", re.IGNORECASE)
"""Headers that hold what users authenticate with."""


@dataclass(slots=True)
class Parameters:
    """The parameters of an endpoint that mean something to a route.

    Attributes:
        request: The one that takes the request; None for none.
        response: The one that takes the response whose headers are sent; None for none.
        not_in_key: Those that no answer depends on.
        secret: Those in the key that hold what a user authenticates with.
        vary: Names of request headers that answers depend on.
        of_caller: True if answers depend on who asks, perhaps, or on whether the caller may ask.
        of_anything: True if answers depend on a request as a whole.
    """

    request: str | None = None
    response: str | None = None
    not_in_key: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    vary: list[str] = field(default_factory=list)
    of_caller: bool = False
    of_anything: bool = False


def examine(
    function: Callable[..., Any],
    endpoint: Callable[..., Any],
    *,
    key: str | Callable[..., object] | None,
    ignore: tuple[str, ...],
) -> Parameters:
    """Look at the parameters of an endpoint.

    Args:
        function: The function that is decorated.
        endpoint: What FastAPI is given in its place.
        key: The option of the decorator.
        ignore: The option of the decorator.

    Raises:
        TypeError: An answer may depend on a parameter that neither ``key=`` nor ``ignore=`` names.
    """
    found = _Examination(function, key, ignore)
    if get_dependant is None:
        found.starlette()
    else:
        found.fastapi(get_dependant(path="/", call=endpoint))
    return found.parameters


class _Examination:
    """One look at one endpoint."""

    def __init__(
        self, function: Callable[..., Any], key: str | Callable[..., object] | None, ignore: tuple[str, ...]
    ) -> None:
        self._function = function
        self._signature = signature_of(function)
        self._named = None if key is None else set(key_parameters(key))
        self._ignored = set(ignore)
        self._sessions = database_sessions(function, self._signature.parameters)
        self.parameters = Parameters(not_in_key=list(ignore))

    def starlette(self) -> None:
        """Without FastAPI there is one parameter, the request."""
        for name in list(self._signature.parameters)[:1]:
            self._request(name)

    def fastapi(self, dependant: Dependant) -> None:
        """Go through what FastAPI found."""
        self.parameters.response = dependant.response_param_name
        provided = dependant.background_tasks_param_name, dependant.security_scopes_param_name
        self.parameters.not_in_key += [name for name in (self.parameters.response, *provided) if name]
        for name in filter(None, (dependant.request_param_name, dependant.http_connection_param_name)):
            self._request(name)
        for inner in dependant.dependencies:
            if inner.name and inner.name not in self._ignored:
                self._dependency(inner.name, inner)
        for one in (*dependant.path_params, *dependant.query_params, *dependant.body_params):
            self._input(one.name)
        for one in dependant.header_params:
            self._header(one)
        for one in dependant.cookie_params:
            self._read(one.name, Reads((COOKIE,)), of_caller=True)

    def _request(self, name: str) -> None:
        self.parameters.request = name
        if name in self._ignored:
            return
        self._require_named(name, "the request")
        self.parameters.of_caller = self.parameters.of_anything = True

    def _dependency(self, name: str, dependant: Dependant) -> None:
        reads = reads_of(dependant)
        if self._named is not None and name in self._named:
            self._depends_on(reads, of_caller=True)
        elif name in self._sessions:
            if reads.headers or reads.inputs or reads.login:
                self._require_named(name, "a database session of who asks")
            self._depends_on(reads, of_caller=reads.anything)
        elif self._only_admits(name, dependant.call):
            self.parameters.not_in_key.append(name)
            self._depends_on(reads, of_caller=True)  # a browser must not show it to its next user
        else:
            self._require_named(name, "a dependency")

    def _only_admits(self, name: str, dependency: Any) -> bool:
        """True if a dependency admits a request or refuses it, and tells the function nothing."""
        if uses(self._function, name):
            return False
        if isinstance(dependency, SecurityBase):
            return True
        try:
            return inspect.get_annotations(dependency, eval_str=True).get("return", dependency) is None
        except Exception:  # noqa: BLE001 - an annotation that cannot be evaluated says nothing
            return False

    def _header(self, header: Any) -> None:
        reads = reads_of_header(header)
        is_secret = reads.anything or any(map(_SECRET.search, reads.headers))
        self._read(header.name, reads, of_caller=is_secret)

    def _read(self, name: str, reads: Reads, *, of_caller: bool) -> None:
        if name not in self._ignored:
            self._input(name)
            self._depends_on(reads, of_caller=of_caller)
            if of_caller and self._named is None:
                self.parameters.secret.append(name)

    def _input(self, name: str) -> None:
        if self._named is not None:
            self._require_named(name, "a parameter")

    def _depends_on(self, reads: Reads, *, of_caller: bool) -> None:
        parameters = self.parameters
        parameters.vary += [name for name in reads.headers if name not in parameters.vary]
        parameters.of_caller = parameters.of_caller or of_caller
        parameters.of_anything = parameters.of_anything or reads.anything

    def _require_named(self, name: str, what: str) -> None:
        if name in self._ignored or (self._named is not None and name in self._named):
            return
        example = f"key=lambda {name}: str({name}.url)" if what == "the request" else f'key="{{{name}.id}}"'
        ways = (
            f"name what the answer depends on in key=, such as {example}; "
            f"or list {name!r} in ignore= if no answer depends on it"
        )
        if what == "a dependency":
            ways += (
                "; or let it only admit: a dependency that is annotated '-> None' or a security scheme, "
                "whose value the function does not use, or one in dependencies=[...] of the route"
            )
        raise TypeError(
            f"{self._function.__qualname__}(): {name!r} is {what} that is not part of the key, so that one "
            f"user could be sent the answer of another; {ways}"
        )
