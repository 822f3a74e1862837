"""How the server of a port was last started: which program wrote its data, and with which settings.

Kept beside the record of the running server, and after it was stopped.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langcache_cli.server_options import Backend
from langcache_cli.servers.binaries import REDIS, VALKEY, ServerBinary

if TYPE_CHECKING:
    from langcache_cli.servers.spec import ServerSpec
    from langcache_cli.servers.state import ServerRecord, StateFolder


_FIRST_WITH_FOLDER: Final = (7, 0)
_FOLDER_OF_7: Final = "appendonlydir"
"""Redis 7 and Valkey keep the append-only file in this folder, which older servers do not look into."""

_COMMON: Final = {REDIS: (7, 3), VALKEY: (8, 9)}
"""The last version of each whose data the other one reads."""


@dataclass(frozen=True, kw_only=True)
class LastStart:
    """What is known of the last start.

    Attributes:
        maxmemory: The memory limit, as redis.conf writes it.
        program: The binary that wrote the data; None if none did, or it is unknown.
        backend: How it was found.
        product: ``redis`` or ``valkey``.
        version: Its version.
    """

    maxmemory: str | None = None
    program: str | None = None
    backend: Backend | None = None
    product: str | None = None
    version: str | None = None

    @classmethod
    def of(cls, folder: StateFolder) -> LastStart:
        """Read it; what is missing or cannot be read is None."""
        try:
            facts = json.loads(folder.last_start_file.read_bytes())
            backend = Backend(facts["backend"]) if facts["backend"] else None
            found = cls(**{**facts, "backend": backend})
        except (OSError, ValueError, TypeError, KeyError):
            found = cls()
        if found.version is None and (folder.data_dir / _FOLDER_OF_7).is_dir():
            return replace(found, version=".".join(map(str, _FIRST_WITH_FOLDER)))
        return found

    def save(self, folder: StateFolder) -> None:
        """Write it.

        Raises:
            StateFolderError: It cannot be written.
        """
        folder.write(folder.last_start_file, json.dumps(asdict(self), indent=2) + "\n")

    def why_unreadable(self, binary: ServerBinary) -> str:
        """Why a program must not open the data: it would begin with none, or end. Empty if it may.

        Of a program that does not say its version nothing is known; it may.
        """
        wrote, reads = _numbers(self.version), _numbers(binary.version)
        if not wrote or not reads:
            return ""
        if self.product in (None, binary.product) or binary.product is None:
            readable = reads >= wrote
        else:
            readable = wrote <= _COMMON[self.product] and (binary.product != REDIS or reads >= (7, 2))
        if readable:
            return ""
        wrote_it = f"{(self.product or 'a server').capitalize()} {self.version}"
        return f"{binary.path} is {binary.name}, and the data was written by {wrote_it}"

    def binary(self) -> ServerBinary | None:
        """The program of the last start, if it is still there and not replaced by an older one."""
        if self.program is None or self.backend is None or not Path(self.program).is_file():
            return None
        found = ServerBinary.of(Path(self.program), self.backend)
        return None if self.why_unreadable(found) else found


def adopt(folder: StateFolder, record: ServerRecord) -> None:
    """Keep what the record of a server says that an earlier langcache started.

    Raises:
        StateFolderError: It cannot be written.
    """
    if record.backend is Backend.COMPOSE or LastStart.of(folder).program is not None:
        return
    product = ServerBinary.of(Path(record.program), record.backend).product
    LastStart(program=record.program, backend=record.backend, product=product, version=record.version).save(
        folder
    )


def remember(spec: ServerSpec, binary: ServerBinary | None) -> None:
    """Keep how a server was started: ``binary`` opened the data; None for a container, which has its own.

    Raises:
        StateFolderError: It cannot be written.
    """
    last = replace(LastStart.of(spec.folder), maxmemory=spec.maxmemory)
    if binary is not None:
        last = replace(
            last,
            program=str(binary.path),
            backend=binary.backend,
            product=binary.product,
            version=binary.version,
        )
    last.save(spec.folder)


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version or "")[:2]))
