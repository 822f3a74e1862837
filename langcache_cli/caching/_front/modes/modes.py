"""The blocks and observers of one cache, and whether there are any: a call looks at nothing else."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Generic, TypeVar

from langcache_cli.caching._blocks import Block, Mode, blocks_of
from langcache_cli.caching._front.modes.recorder import Record, note
from langcache_cli.caching._statistics.events import Events

S = TypeVar("S")


class Modes:
    """What the calls of one cache do otherwise than usual, and who is told of them."""

    def __init__(self, events: Events, on_change: Callable[[bool], object]) -> None:
        """Start without any.

        Args:
            events: Of the cache.
            on_change: Called with True when any block or observer is there, in whatever context, and with
                False when there is none any more.
        """
        self._events = events
        self._on_change = on_change
        self._lock = Lock()
        self._count = 0
        self._n_recorders = 0
        self._end_notes: Callable[[], None] | None = None
        self._observers: tuple[Record, ...] = ()

    def mode(self) -> Mode | None:
        """That of the innermost block around the running code; None for none."""
        modes = (block.mode for block in reversed(blocks_of(self)))
        return next((mode for mode in modes if mode is not None), None)

    def recorders(self) -> list[Record]:
        """Who is to be told of a call of the running code."""
        return [*self._observers, *(_while_open(block) for block in blocks_of(self) if block.record)]

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

    def begin(self, block: Block) -> None:
        """Enter a block."""
        self._changed(1, records=block.record is not None)
        block.enter()

    def end(self, block: Block) -> None:
        """Leave a block."""
        block.leave()
        self._changed(-1, records=block.record is not None)

    def _changed(self, by: int, *, records: bool) -> None:
        with self._lock:  # blocks begin and end in several threads
            self._count += by
            self._n_recorders += by * records
            if self._n_recorders and self._end_notes is None:
                self._end_notes = self._events.subscribe(note)
            elif not self._n_recorders and self._end_notes is not None:
                self._end_notes()
                self._end_notes = None
            self._on_change(self._count > 0)


def _while_open(block: Block) -> Record:
    """Records for a block until it ends: a task that was created in it may go on."""
    return lambda record: block.record(record) if block.is_open else None


class ModeBlock(Generic[S]):
    """A block as a context manager, for ``with`` and ``async with``; it can be entered again."""

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

    def __enter__(self) -> S:
        given, record = self._start()
        block = Block(self._modes, self._mode, record)
        self._modes.begin(block)
        self._blocks.append(block)
        return given

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._modes.end(self._blocks.pop())

    async def __aenter__(self) -> S:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
