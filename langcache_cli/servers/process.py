"""Start a server from a binary so that it outlives the command that started it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from langcache_cli.servers import config, identity
from langcache_cli.servers.binaries import ServerBinary, clean_environment
from langcache_cli.servers.errors import StartFailedError
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord, StateFolder

# The shell leaves at once, so the server becomes a child of init: it can neither become a zombie of a
# long-lived caller nor be taken down with its job. `exec` makes the pid it prints the server's own.
_DETACH: Final = 'umask 077; exec "$0" "$1" </dev/null >>"$2" 2>&1 & echo $!'
_SPAWN_SECONDS: Final = 10.0


def launch(spec: ServerSpec, folder: StateFolder, binary: ServerBinary) -> ServerRecord:
    """Write the configuration, start the server detached, record it; does not wait until it answers. Blocks.

    The server sees the password in no argument, no variable and no file: redis.conf has its hash.

    Raises:
        StartFailedError: The program can't be run, or was gone before it could be looked at.
        StateFolderError: The folder can't be written.
    """
    folder.write(folder.config_file, config.render(spec, folder))
    # A new log for each start, so that the last lines always belong to this server; the one before is kept.
    _begin_log(folder)
    pid = _spawn(binary.path, folder)
    birth = identity.birth_of(pid)
    if birth is None:
        raise died(spec, folder, binary.path)
    record = ServerRecord(
        backend=binary.backend,
        port=spec.port,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        program=str(binary.path),
        version=binary.version,
        pid=pid,
        birth=birth,
    )
    folder.save(record)
    return record


def died(spec: ServerSpec, folder: StateFolder, program: Path | str) -> StartFailedError:
    """The error for a server that ended while it was starting, with the last lines of its log."""
    return StartFailedError(
        f"{program} ended right after it was started on port {spec.port}.",
        hint=f"The log is {folder.log_file}\nIf a newer server wrote the data, move {folder.data_dir} away.",
        log_lines=last_words(spec, folder),
    )


def last_words(spec: ServerSpec, folder: StateFolder, lines: int = 5) -> tuple[str, ...]:
    """The last lines of the log, the password masked; nothing if there is no log."""
    try:
        text = folder.log_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(spec.mask(line) for line in text.splitlines() if line.strip())[-lines:]


def _begin_log(folder: StateFolder) -> None:
    with folder.usable():
        if folder.log_file.exists():
            folder.log_file.replace(folder.log_file.with_suffix(".log.1"))
    folder.write(folder.log_file, "")


def _spawn(program: Path, folder: StateFolder) -> int:
    """Run the program in its own session with nothing of ours but its configuration; return its pid."""
    try:
        shell = subprocess.run(  # noqa: S603 - fixed script; the program was found by name in known places
            ["/bin/sh", "-c", _DETACH, str(program), str(folder.config_file), str(folder.log_file)],
            cwd=folder.path,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            timeout=_SPAWN_SECONDS,
            check=True,
        )
        return int(shell.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise StartFailedError(
            f"Can't run {program}: {error}", hint="Is it a program of this system?"
        ) from error
