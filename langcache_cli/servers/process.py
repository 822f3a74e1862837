"""Start a server from a binary so that it outlives the command that started it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from langcache_cli.servers import identity
from langcache_cli.servers.binaries import ServerBinary, clean_environment
from langcache_cli.servers.errors import StartFailedError
from langcache_cli.servers.external_commands import tail_of
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord, StateFolder

# The shell ends at once, so the server becomes a child of init: it is never a zombie of a long-lived caller
# and does not end with the caller's job. `exec` makes the printed pid the server's own.
_DETACH: Final = 'umask 077; exec "$0" "$1" </dev/null >>"$2" 2>&1 & echo $!'
_SPAWN_SECONDS: Final = 10.0
_CLUSTER: Final = (
    ["cluster-enabled", "yes"],
    ["cluster-config-file", "nodes.conf"],
    ["cluster-node-timeout", "2000"],  # milliseconds; on one machine nothing is gained by a longer one
    ["cluster-require-full-coverage", "no"],  # a shard without a primary takes no other shard away
    ["repl-diskless-sync-delay", "0"],  # seconds
)


def launch(spec: ServerSpec, binary: ServerBinary) -> ServerRecord:
    """Write the configuration, start the server detached, record it. Blocks; does not wait until it answers.

    The password is in no argument, variable or file of the server: redis.conf holds its hash.

    Raises:
        StartFailedError: The program cannot be run, or ended at once.
        StateFolderError: The folder cannot be written.
    """
    folder = spec.folder
    folder.write(folder.config_file, redis_conf(spec))
    # A new log for each start, so that the last lines always belong to this server; the previous one is kept.
    _begin_log(folder)
    pid = _spawn(binary.path, folder)
    birth = identity.birth_of(pid)
    if birth is None:
        raise ended_at_once(spec, binary.path)
    record = ServerRecord(
        backend=binary.backend,
        port=spec.port,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        program=str(binary.path),
        version=binary.version,
        pid=pid,
        birth=birth,
    )
    try:
        folder.save(record)
    except BaseException:  # a full disk: without a record no later command would stop the server
        identity.kill(pid, birth)
        raise
    return record


def ended_at_once(spec: ServerSpec, program: Path | str) -> StartFailedError:
    """The error for a server that ended during its start, with the last lines of its log."""
    log, data = spec.folder.log_file, spec.folder.data_dir
    return StartFailedError(
        f"{program} ended right after it was started on port {spec.port}.",
        hint=f"The log is {log}\nIf a newer server wrote the data, move {data} away.",
        log_lines=last_log_lines(spec),
    )


def last_log_lines(spec: ServerSpec) -> tuple[str, ...]:
    """The last lines of the server's log, the password masked; nothing if there is no log."""
    try:
        text = spec.folder.log_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(map(spec.mask, tail_of(text)))


def redis_conf(spec: ServerSpec) -> str:
    """The configuration: loopback only, one user, a memory limit with eviction, an append-only file.

    No snapshots: the append-only file holds everything, and a snapshot forks the server.
    """
    lines = [
        ["bind", *_addresses(spec.host)],
        ["port", str(spec.port)],
        ["protected-mode", "yes"],
        ["daemonize", "no"],
        ["dir", str(spec.folder.data_dir)],
        ["logfile", str(spec.folder.log_file)],
        ["databases", str(spec.databases)],
        ["appendonly", "yes"],
        ["save", ""],
        ["maxmemory", spec.maxmemory],
        ["maxmemory-policy", "allkeys-lru"],
        *_users(spec),
        *(_CLUSTER if spec.cluster else ()),
    ]
    return "".join(" ".join(map(quoted, line)) + "\n" for line in lines)


def has_other_password(spec: ServerSpec) -> bool:
    """True if the server of this data was last started with a login that is not the one of ``spec``."""
    try:
        text = spec.folder.config_file.read_text("utf-8")
    except OSError:
        return False
    return quoted(spec.password_rule) not in text


def quoted(value: str) -> str:
    r"""`value` as one word of redis.conf, whatever it contains; bytes beyond plain ASCII as \xNN.

    >>> quoted('a "b"\n')
    '"a \\"b\\"\\x0a"'
    """
    return '"' + "".join(_escaped(byte) for byte in value.encode("utf-8", "surrogateescape")) + '"'


def _escaped(byte: int) -> str:
    character = chr(byte)
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\x{byte:02x}"


def _addresses(host: str) -> list[str]:
    # "-": the server starts without this address if the machine does not have it (no IPv6).
    usual = ["127.0.0.1", "-::1"]
    if host == "::1":
        return ["127.0.0.1", "::1"]
    return usual if host in {"localhost", "127.0.0.1"} else [host, *usual]


def _users(spec: ServerSpec) -> list[list[str]]:
    rules = ["on", spec.password_rule, "~*", "&*", "+@all"]
    if spec.username is None:
        return [["user", "default", *rules]]
    return [["user", "default", "off"], ["user", spec.username, *rules]]


def _begin_log(folder: StateFolder) -> None:
    with folder.usable():
        if folder.log_file.exists():
            folder.log_file.replace(folder.log_file.with_suffix(".log.1"))
    folder.write(folder.log_file, "")


def _spawn(program: Path, folder: StateFolder) -> int:
    """Run the program in a session of its own and with a small environment; return its pid."""
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
            f"Cannot run {program}: {error}", hint="Is it a program of this system?"
        ) from error
