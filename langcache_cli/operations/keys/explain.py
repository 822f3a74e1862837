"""What a call of a cached function would find: its key, tags and TTL, and what stands there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.operations.keys.arguments import ArgumentsError, arguments_of
from langcache_cli.operations.keys.function_names import UnknownFunctionError, full_name
from langcache_cli.operations.keys.inspection import KeyView, look_at

Outcome = Literal["hit", "miss", "wait"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One call.

    Attributes:
        function: ``module:function``.
        key: Its Redis key.
        type: Its cache type.
        tags: As `invalidate_tags` takes them.
        ttl_seconds: How long a value that it stores is fresh, at most.
        jitter_ratio: The TTL is shorter by a random part of up to this size.
        stale_seconds: How much longer it is served while one call loads its successor.
        local_seconds: How long processes may keep it in their memory; 0 for not at all.
        view: What stands under the key; None for nothing.
        outcome: What a call would be now: a ``hit``, a ``miss`` that loads, or a ``wait`` for a load.
        reason: Why; one of ``fresh``, ``stale``, ``leased``, ``ended``, ``absent``, ``invalidated``,
            ``schema``, ``loading``, ``failed``, ``foreign``.
        schema: What an entry of this version of the return type has in its header.
    """

    function: str
    key: str
    type: str
    tags: tuple[str, ...]
    ttl_seconds: float
    jitter_ratio: float
    stale_seconds: float
    local_seconds: float
    view: KeyView | None
    outcome: Outcome
    reason: str
    schema: str


async def explain_call(cache: Cache, function: CachedFunction[Any, Any], texts: Sequence[str]) -> Explanation:
    """Explain the call of a function with arguments as people type them. Runs nothing of the application.

    Raises:
        ArgumentsError: They do not fit the function.
        UnknownFunctionError: The function has a cache of its own in another namespace.
        TypeError: Its return annotation cannot be used.
        CacheError: Redis did not answer, or refused.
    """
    namespace, own = cache.settings.namespace, function.cache.settings.namespace
    if own != namespace:
        raise UnknownFunctionError(
            f"{full_name(function)} has a cache of its own, with the namespace {own!r}",
            f"Add --namespace {own}.",
        )
    args, kwargs = arguments_of(function, texts)
    try:
        address = function.addresses(cache, args, kwargs)[0]
    except TypeError as error:
        raise ArgumentsError(str(error)) from None
    spec = function.spec
    lifetime, schema = cache.lifetime(spec), spec.codec.fingerprint
    view = await look_at(cache, [address.key.encode()], tag_keys=address.tag_keys)
    outcome, reason = _outcome(view, schema, len(address.tag_keys), lifetime.stale_seconds)
    start = len(f"{namespace}@tag:")
    return Explanation(
        function=full_name(function),
        key=address.key,
        type=cache.label(spec).type,
        tags=tuple(key[start:] for key in address.tag_keys),
        ttl_seconds=lifetime.ttl_seconds,
        jitter_ratio=lifetime.jitter,
        stale_seconds=lifetime.stale_seconds,
        local_seconds=spec.local_seconds,
        view=view,
        outcome=outcome,
        reason=reason,
        schema=schema,
    )


def _outcome(view: KeyView | None, schema: str, tags: int, stale_seconds: float) -> tuple[Outcome, str]:
    reason = _reason(view, schema, tags, stale_seconds)
    if reason == "loading":
        return "wait", reason
    return "hit" if reason in {"fresh", "stale", "leased"} else "miss", reason


def _reason(view: KeyView | None, schema: str, tags: int, stale_seconds: float) -> str:
    if view is None:
        return "absent"
    is_entry = view.entry["kind"] == "entry"
    if (is_entry or view.state == "loading") and (
        len(view.entry["tag_versions"]) != tags or any(tag.holds is False for tag in view.tags)
    ):
        return "invalidated"
    if is_entry and schema and view.entry["schema"] != schema:  # a cached route learns its shape by requests
        return "schema"
    if is_entry and (view.fresh_seconds or 0) + stale_seconds <= 0:
        return "ended"
    return view.state
