"""Taking leases of tagged entries: the versions of their tags and the leases in one round trip.

A placeholder records the versions of its tags, so these must be known before the lease is taken. They are
guessed: from the look-up, from an earlier reply, or as the new versions of tags that have none. A wrong guess
costs another round trip and is never used.

In a cluster an entry and its tags are read from different nodes, at different moments: a tag from before its
invalidation and an entry from after it look as if the entry were outdated. The versions are therefore read
once more before such an entry is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from langcache_cli.caching._clock import is_id, new_ids
from langcache_cli.caching._errors import CacheUnavailableError
from langcache_cli.caching._protocol import header
from langcache_cli.caching._protocol.lease import Lease, holds
from langcache_cli.caching._protocol.results import raise_errors, raise_refusals
from langcache_cli.caching._protocol.scripts import Step, run_scripts
from langcache_cli.caching._protocol.store import Seen, Store
from langcache_cli.caching._wire.budget import Budget


async def acquire_one(
    store: Store, lease: Lease, tag_keys: tuple[str, ...], budget: Budget, *, ttl_ms: int, seen: Seen
) -> tuple[Lease, Any]:
    """`acquire_tagged` for one lease, with tags or without.

    Args:
        store: Where it is.
        lease: The lease.
        tag_keys: Of its tags.
        budget: Upper bound for the time.
        ttl_ms: See `Store.tag_versions`.
        seen: The look-up that found no usable value.

    Raises:
        ServerReplyError: The server refuses to write.
    """
    rejected = [seen.stored or b""]
    if tag_keys:
        versions = dict(zip(tag_keys, seen.tag_versions, strict=False))
        (lease,), found = await acquire_tagged(
            *(store, [lease], [tag_keys], budget), ttl_ms=ttl_ms, seen=versions, rejected=rejected
        )
    else:
        found = await store.acquire([lease], budget, rejected=rejected)
    (stored,) = raise_errors(found)
    if stored is not None and holds(stored, lease) and Seen(stored, lease.tag_versions).outdated:
        # a load that is run once more after an invalidation: its placeholder gets the new versions
        await acquire_again(store, [lease], budget, rejected={0: stored}, found=found)
        (stored,) = raise_errors(found)
    return lease, stored


async def acquire_tagged(
    store: Store,
    leases: Sequence[Lease],
    tag_keys: Sequence[tuple[str, ...]],
    budget: Budget,
    *,
    ttl_ms: int,
    seen: Mapping[str, str | None],
    rejected: Sequence[bytes],
    n_bytes: int | None = None,
) -> tuple[list[Lease], list[Any]]:
    """`Store.tag_versions`, then `Store.acquire`, see there, for leases with those versions.

    Args:
        store: Where they are.
        leases: The leases.
        tag_keys: Of the tags of each.
        budget: Upper bound for the time.
        ttl_ms: How long the tags must live.
        seen: By key the versions that tags had at the look-up.
        rejected: The unusable value of each key.
        n_bytes: How much of a stored value to return.

    Returns:
        The leases with the versions of their tags, and what `Store.acquire` returns for each; an error for
        each that has a tag whose node is away.

    Raises:
        ServerReplyError: The server refuses to write.
    """
    if store.server.is_cluster and (doubtful := outdated_places(rejected, tag_keys, seen)):
        where = store, leases, tag_keys, budget, doubtful
        return await _acquire_in_two_steps(*where, ttl_ms=ttl_ms, rejected=rejected, n_bytes=n_bytes)
    distinct = list(dict.fromkeys(chain(*tag_keys)))
    fresh = new_ids(len(distinct))
    guessed = _guessed(store, seen, dict(zip(distinct, fresh, strict=True)))
    leases = _with_versions(leases, tag_keys, guessed)
    steps = [  # a tag never gets the guess: a version that was invalidated must not come back
        Step("tag", distinct, (fresh, [ttl_ms] * len(distinct))),
        Step("acquire", [lease.key for lease in leases], store.acquiring(leases, rejected, n_bytes)),
    ]
    replies, found = await run_scripts(store.server, steps, budget=budget, partly=True)
    away, known = _read_versions(store, dict(zip(distinct, raise_refusals(replies), strict=True)))
    versions = {**guessed, **known}
    if versions != guessed:  # a tag was invalidated since its version was known
        await _correct(store, leases, tag_keys, budget, versions=versions, found=found, n_bytes=n_bytes)
    if away:
        _leave_out(away, tag_keys, found)
    return leases, found


def _leave_out(
    away: Mapping[str, CacheUnavailableError], tag_keys: Sequence[tuple[str, ...]], found: list[Any]
) -> None:
    """Put an error in the place of what has a tag that is away: no entry and no lease is of use then."""
    for place, tags in enumerate(tag_keys):
        for tag in away.keys() & set(tags):
            found[place] = away[tag]


def _read_versions(
    store: Store, replies: Mapping[str, Any]
) -> tuple[dict[str, CacheUnavailableError], dict[str, str]]:
    """Of the replies to the step `tag`: the errors of tags whose nodes are away, and the other versions."""
    away = {tag: reply for tag, reply in replies.items() if isinstance(reply, CacheUnavailableError)}
    known = [tag for tag in replies if tag not in away]
    versions = dict(zip(known, store.versions_in([replies[tag] for tag in known]), strict=True))
    store.known_tags.update(versions)
    return away, versions


def _guessed(store: Store, seen: Mapping[str, str | None], fresh: Mapping[str, str]) -> dict[str, str]:
    """The versions that tags probably have; ``fresh`` has those that tags without one get."""
    known = {tag: seen[tag] if tag in seen else store.known_tags.get(tag) for tag in fresh}
    return {tag: one if is_id(one) else fresh[tag] for tag, one in known.items()}


def outdated_places(
    rejected: Sequence[bytes], tag_keys: Sequence[tuple[str, ...]], seen: Mapping[str, str | None]
) -> set[int]:
    """The places of what was rejected because of the versions that its tags seemed to have."""
    return {
        place
        for place, stored in enumerate(rejected)
        if stored and Seen(stored, tuple([seen.get(tag) for tag in tag_keys[place]])).outdated
    }


async def _acquire_in_two_steps(
    store: Store,
    leases: Sequence[Lease],
    tag_keys: Sequence[tuple[str, ...]],
    budget: Budget,
    doubtful: set[int],
    *,
    ttl_ms: int,
    rejected: Sequence[bytes],
    n_bytes: int | None,
) -> tuple[list[Lease], list[Any]]:
    """`acquire_tagged`; what proves to be valid with the versions read now keeps its place."""
    distinct = list(dict.fromkeys(chain(*tag_keys)))
    versions = await store.versions_of(distinct, ttl_ms, budget)
    store.known_tags.update({tag: one for tag, one in versions.items() if isinstance(one, str)})
    tagged = with_versions(leases, tag_keys, versions)
    ours = [one if isinstance(one, Lease) else lease for one, lease in zip(tagged, leases, strict=True)]
    found: list[Any] = [None if isinstance(one, Lease) else one for one in tagged]
    unusable: dict[int, bytes] = {}
    for place, (one, stored) in enumerate(zip(tagged, rejected, strict=True)):
        if not isinstance(one, Lease):
            continue
        if place in doubtful and not Seen(stored, one.tag_versions).outdated:
            found[place] = stored
        else:
            unusable[place] = stored
    await acquire_again(store, ours, budget, rejected=unusable, found=found, n_bytes=n_bytes)
    return ours, found


async def _correct(
    store: Store,
    leases: list[Lease],
    tag_keys: Sequence[tuple[str, ...]],
    budget: Budget,
    *,
    versions: Mapping[str, str],
    found: list[Any],
    n_bytes: int | None,
) -> None:
    """Replace the placeholders that were stored with wrong versions, and update what was found."""
    rights = _with_versions(leases, tag_keys, versions)
    wrong = {
        place: f"{header.LEASE}{right.token}".encode("ascii")
        for place, (lease, right) in enumerate(zip(leases, rights, strict=True))
        if found[place] is None and lease != right
    }
    leases[:] = rights
    await acquire_again(store, leases, budget, rejected=wrong, found=found, n_bytes=n_bytes)


async def acquire_again(
    store: Store,
    leases: Sequence[Lease],
    budget: Budget | None,
    *,
    rejected: Mapping[int, bytes],
    found: list[Any],
    n_bytes: int | None = None,
) -> None:
    """`Store.acquire` once more where what was found cannot be used, and update what was found.

    Args:
        store: Where they are.
        leases: The leases.
        budget: Upper bound for the time.
        rejected: The unusable value, or its beginning, by its place among the leases.
        found: What `Store.acquire` has returned for each; gets the new replies, or errors where no node was
            reached.
        n_bytes: See `Store.acquire`.
    """
    if not rejected:
        return
    again = [leases[place] for place in rejected]
    replies: Sequence[Any]
    try:
        replies = await store.acquire(again, budget, rejected=list(rejected.values()), n_bytes=n_bytes)
    except CacheUnavailableError as error:  # the other leases were taken, or not, before
        replies = [error] * len(again)
    for place, reply in zip(rejected, replies, strict=True):
        found[place] = reply


def with_versions(
    leases: Sequence[Lease],
    tag_keys: Sequence[tuple[str, ...]],
    found: Mapping[str, str | CacheUnavailableError],
) -> list[Lease | CacheUnavailableError]:
    """Leases with the versions of their tags; the error of the first tag that is away in the place of others.

    Args:
        leases: The leases.
        tag_keys: Of the tags of each.
        found: What `Store.versions_of` has returned.
    """
    away = {tag: one for tag, one in found.items() if isinstance(one, CacheUnavailableError)}
    versions = {tag: one for tag, one in found.items() if isinstance(one, str)}
    if not away:
        return [*_with_versions(leases, tag_keys, versions)]
    tagged: list[Lease | CacheUnavailableError] = []
    for lease, of_lease in zip(leases, tag_keys, strict=True):
        if problem := next((away[tag] for tag in of_lease if tag in away), None):
            tagged.append(problem)
        else:
            tagged += _with_versions([lease], [of_lease], versions)
    return tagged


def _with_versions(
    leases: Sequence[Lease], tag_keys: Sequence[tuple[str, ...]], versions: Mapping[str, str]
) -> list[Lease]:
    return [
        lease._replace(tag_versions=tuple([versions[tag] for tag in of_lease]))
        for lease, of_lease in zip(leases, tag_keys, strict=True)
    ]
