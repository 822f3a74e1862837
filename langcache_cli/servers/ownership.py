"""Which server is langcache's own: only those may be stopped."""

from __future__ import annotations

from langcache_cli.servers import identity
from langcache_cli.servers.errors import StateFolderError
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend, ServerRecord, state_folder


def ours(spec: ServerSpec) -> ServerRecord | None:
    """The record of the server langcache runs on this port; None too when the record is another user's."""
    try:
        record = state_folder(spec.state_dir, spec.port).load()
    except StateFolderError:
        return None
    return record if record and may_run(record) else None


def may_run(record: ServerRecord) -> bool:
    """Is the recorded process, and no other with its pid, alive?

    A container counts as running: only the engine knows, and stopping it twice does no harm.
    """
    return record.backend is Backend.COMPOSE or identity.is_alive(record.pid, record.birth)
