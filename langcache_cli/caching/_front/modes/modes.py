"""The blocks and observers of one cache, and whether there are any: a call looks at nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from langcache_cli.caching._blocks import Block, Mode, block_of, blocks_of, recorded_call
from langcache_cli.caching._fork import call_in_child
from langcache_cli.caching._front.modes.recorder import Record, RecordedCall
from langcache_cli.caching._statistics.events import Events

S = TypeVar("S")


class Around(NamedTuple):
    """What is around the running code.

    Attributes:
        mode: What calls do otherwise than usual; None for nothing.
        recorders: Who is told of them.
    """

    mode: Mode | None
    recorders: Sequence[Record]


PAST = Around(Mode.BYPASSED, ())
"""A call runs its function, and nobody is told."""


class Modes:
    """What the calls of one cache do otherwise than usual, and who is told of them."""

    def __init__(self, events: Events, on_change: Callable[[bool], object], *, enabled: bool) -> None:
        """Start without any.

        Args:
            events: Of the cache.
            on_change: Called with True when any block or observer is there, in whatever context, and with
                False when there is none any more.
            enabled: False for a cache that every call goes past.
        """
        self._enabled = enabled
        self._events = events
        self._on_change = on_change
        self._lock = RLock()  # a signal handler may enter a block while this thread has it
        call_in_child(self, "_start_in_child")
        self._count = 0
        self._n_recorders = 0
        self._observers: tuple[Record, ...] = ()

    def around(self) -> Around | None:
        """What is around the running code; None if a call is to be answered as usual."""
        blocks = blocks_of(self)
        if not blocks and not self._observers:
            return None if self._enabled else PAST
        records = [_while_open(block) for block in blocks if block.record is not None]
        mode, recorders = self._mode_of(blocks), (*self._observers, *records)
        return PAST if mode is Mode.BYPASSED and not recorders else Around(mode, recorders)

    def mode(self) -> Mode | None:
        """What calls of the running code do otherwise than usual; None for nothing."""
        return self._mode_of(blocks_of(self))

    def _mode_of(self, blocks: Sequence[Block]) -> Mode | None:
        """That of the innermost block."""
        if not self._enabled:
            return Mode.BYPASSED
        return next((block.mode for block in reversed(blocks) if block.mode is not None), None)

    def observe(self, observer: Record) -> Callable[[], None]:
        """Tell ``observer`` of every call, whatever its context.

        Returns:
            A function that ends it.
        """
        with self._lock:
            self._observers = (*self._observers, observer)
        self._changed(1, records=True)

        def end() -> None:
            with self._lock:
                before, self._observers = (
                    self._observers,
                    tuple(other for other in self._observers if other is not observer),
                )
            if before != self._observers:
                self._changed(-1, records=True)

        return end

    def _start_in_child(self) -> None:
        """In the child of a fork, keep the blocks around the running code: others belong to other threads."""
        self._lock = RLock()  # another thread may have held the one of the parent
        blocks = blocks_of(self)
        self._count = len(blocks) + len(self._observers)
        self._n_recorders = sum(block.record is not None for block in blocks) + len(self._observers)
        self._changed(0, records=False)

    def begin(self, block: Block) -> None:
        """Enter a block."""
        self._changed(1, records=block.record is not None)
        block.enter()

    def end(self, block: Block) -> None:
        """Leave a block."""
        block.leave()
        self._changed(-1, records=block.record is not None)

    def _note(self, name: str, key: str | None) -> None:
        """Note an event for the call that the running code is part of."""
        call: RecordedCall | None = recorded_call.get()
        if call is not None and call.owner is self:
            call.note(name, key)

    def _changed(self, by: int, *, records: bool) -> None:
        with self._lock:  # blocks begin and end in several threads
            self._count += by
            self._n_recorders += by * records
            self._events.take_notes(self._note if self._n_recorders else None)
            self._on_change(self._count > 0)


def _while_open(block: Block) -> Record:
    """Records for a block until it ends: a task that was created in it may go on."""
    return lambda record: block.record(record) if block.is_open else None


class ModeBlock(Generic[S]):
    """A block as a context manager, for ``with`` and ``async with``.

    It can be entered again, also by several tasks and threads at a time.
    """

    def __init__(
        self, modes: Modes, start: Callable[[], tuple[S, Record | None]], mode: Mode | None = None
    ) -> None:
        """Prepare.

        Args:
            modes: Of the cache.
            start: Returns what ``as`` gives, and what is called with each call in the block.
            mode: What these calls do.
        """
        self._modes = modes
        self._start = start
        self._mode = mode
        self._blocks: list[Block] = []
        """Those that are open, in any context."""

    def __enter__(self) -> S:
        given, record = self._start()
        block = Block(self._modes, self._mode, record, manager=self)
        self._modes.begin(block)
        self._blocks.append(block)
        return given

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # left in another context than it was entered in, as by a dependency of FastAPI: the last of all
        block = block_of(self) or self._blocks[-1]
        self._blocks.remove(block)
        self._modes.end(block)

    async def __aenter__(self) -> S:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
