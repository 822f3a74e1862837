"""The connections of threads to the server that the background loop uses, one for each that calls often."""

from __future__ import annotations

import threading
from time import monotonic
from weakref import WeakSet

from langcache_cli.caching._deployment.one_server import OneServer
from langcache_cli.caching._errors import CacheError
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._sync.background_loop import submit
from langcache_cli.caching._sync.thread_connection import ThreadConnection
from langcache_cli.caching._wire.batched_connection import BatchedConnection

CALLS_BEFORE = 10
"""A thread connects at its next call after so many: one that lives for one request would gain nothing."""

RETRY_SECONDS = 1.0
"""The pause of a thread after a connection that was lost or could not be made."""


class _State(threading.local):
    """What belongs to one thread."""

    def __init__(self) -> None:
        self.calls = 0
        self.connection: ThreadConnection | None = None
        self.beside: BatchedConnection | None = None
        self.not_before = 0.0


class ThreadConnections:
    """A connection is used only while it leads to the server to which the background loop is connected.

    That loop knows which invalidations the server has confirmed, and sends those again that another server
    may not have. When its connection has ended, every thread goes through it until it has connected anew.
    """

    def __init__(self, runtime: Runtime, server: OneServer) -> None:
        """Connect to nothing yet."""
        self._runtime = runtime
        self._node = server.node
        self._connector = server.node.connector
        self._breaker = server.node.breaker
        self._state = _State()
        self._all: WeakSet[ThreadConnection] = WeakSet()
        self._lock = threading.RLock()  # a signal handler, or `__del__`, may call while it is held
        self._has_ended = False

    def current(self) -> ThreadConnection | None:
        """The connection of this thread; None if it has none, or may not use it now.

        Raises:
            TimeoutError: It was to connect, and Redis did not answer in time.
        """
        state, beside = self._state, self._connector.current
        if beside is not None and state.beside is beside and beside.alive and not self._breaker.open:
            return state.connection
        return self._connected(state, beside)

    def look_up(self, keys: KeyAndTags) -> list[bytes | None] | None:
        """The values of ``keys``; None if the loop should ask.

        Raises:
            TimeoutError: Redis did not answer in time.
        """
        try:
            connection = self.current()
            if connection is None or connection.is_busy:  # this call interrupts a look-up of this thread
                return None
            found = connection.look_up(keys)
        except TimeoutError as error:
            self._lose()
            submit(self._runtime.loop, self._node.failed, error)
            raise
        except OSError:  # servers close idle connections, and are restarted: the loop knows more
            self._lose()
            return None
        except BaseException:  # a signal handler: the reply would be taken for that to the next look-up
            self._lose()
            raise
        if self._breaker.failing:
            submit(self._runtime.loop, self._node.succeeded)
        return found

    def _lose(self) -> None:
        state = self._state
        state.connection = state.beside = None
        state.not_before = monotonic() + RETRY_SECONDS

    def end(self) -> None:
        """Drop all, from the thread of the loop."""
        with self._lock:
            self._has_ended = True
            connections = tuple(self._all)
        for connection in connections:
            connection.end()

    def _connected(self, state: _State, beside: BatchedConnection | None) -> ThreadConnection | None:
        state.connection = state.beside = None
        state.calls += 1
        if beside is None or not beside.alive or beside.server is None or beside.server.is_replica:
            return None
        if state.calls <= CALLS_BEFORE or self._breaker.open or monotonic() < state.not_before:
            return None
        try:
            connection = ThreadConnection(self._node.address, seconds=self._node.timeout)
        except TimeoutError:
            raise
        except (OSError, CacheError):
            state.not_before = monotonic() + RETRY_SECONDS
            return None
        with self._lock:
            if self._has_ended or connection.server != beside.server:
                state.not_before = monotonic() + RETRY_SECONDS
                return None
            self._all.add(connection)
        state.connection, state.beside = connection, beside
        return connection


def connections_of(runtime: Runtime) -> ThreadConnections | None:
    """The connections of threads beside a runtime; None if what it uses is no plain server."""
    server = runtime.server
    return ThreadConnections(runtime, server) if isinstance(server, OneServer) and server.is_plain else None
