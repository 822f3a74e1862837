"""Everything that is printed: results on stdout, the rest on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.log_lines import lines_are_json, stderr_line
from langcache_cli.cli.streams import drop_output

if TYPE_CHECKING:
    from rich.console import Console

UNLIMITED_WIDTH = 100_000
"""A pipe has no width: nothing is cut or wrapped for it."""

COMMON_WIDTH = 80

NARROWEST_TEXT = 6
BETWEEN_COLUMNS = 3
"""Columns of the terminal: for a folded text, and between two columns of a table."""


class Output:
    """Prints as the global options ask for."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self.closed = False
        """Whether the reader of stdout has gone away; what is printed then is dropped."""

    def target(self, target: str) -> None:
        """Say where a command acts; in a JSON document it is a field."""
        if not (self._invocation.json or self._invocation.quiet):
            _say(target)

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        if not (self._invocation.json or self._invocation.quiet):
            _say(text)

    def ask(self, question: str) -> bool:
        """Ask on the terminal; anything but yes is no, and so is Ctrl-D.

        Raises:
            KeyboardInterrupt: Ctrl-C; inside an event loop it would wait for the answer.
        """
        try:
            print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - see above
            _wait_for_a_line()
            return input().strip().lower() in {"y", "yes"}
        except (EOFError, KeyboardInterrupt) as error:
            print(file=sys.stderr)  # noqa: T201 - see above; what comes next begins a line of its own
            if isinstance(error, EOFError):
                return False
            raise

    def document(self, schema: str, content: dict[str, Any]) -> None:
        """Print the one JSON document of this run."""
        import json  # noqa: PLC0415 - see `running`

        document = {"schema": f"langcache.{schema}/1", **content}
        self.line(json.dumps(document, ensure_ascii=False, default=str))

    def overview(self, overview: Mapping[str, Any]) -> None:
        """Print the document of the overview, which has a schema of its own."""
        import json  # noqa: PLC0415 - see `running`

        self.line(json.dumps(overview, ensure_ascii=False))

    def line(self, text: str) -> None:
        """Print one line of the result."""
        self._write(text + "\n")

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, text_columns: int = 1
    ) -> None:
        """Print a table; without a terminal plain columns, two spaces apart.

        Args:
            title: Above the table; only on a terminal.
            columns: Headings.
            rows: Cells; numbers are set to the right.
            text_columns: How many columns, from the left, are text.
        """
        from rich import box  # noqa: PLC0415 - only who prints a table pays for it
        from rich.table import Table  # noqa: PLC0415 - as above

        terminal = self.draws
        table = Table(
            title=title if terminal else None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD if terminal else None,
            pad_edge=False,
            padding=(0, 1) if terminal else (0, 2, 0, 0),
        )
        for number, column in enumerate(columns):
            is_text = number < text_columns
            table.add_column(
                column,
                justify="left" if is_text else "right",
                no_wrap=not (is_text and terminal),
                overflow="fold",  # where there is no room for a word: nothing is left out
            )
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        text = io.StringIO()
        console = self._console(text)
        if _width_of_numbers(columns, rows, text_columns) > console.width:  # rich would cut their digits
            console = self._console(text, width=UNLIMITED_WIDTH)
        console.print(table)
        self._write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))

    @property
    def draws(self) -> bool:
        """Whether stdout is a terminal that can show more than plain text."""
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def _write(self, text: str) -> None:
        """Write to stdout. That the reader has seen enough (``| head``) is no error.

        Raises:
            CommandError: The text could not be written, to a full disk for example.
        """
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            drop_output(sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                message = f"the result cannot be written: {error.strerror}"
                raise CommandError(ExitCode.BAD_CONFIGURATION, message, reported=True) from error
            self.closed = True

    @property
    def width(self) -> int:
        """The columns of stdout; those of a common terminal where it is none."""
        return self.console().width if self.draws else COMMON_WIDTH

    @property
    def unicode(self) -> bool:
        """Whether stdout can show more than ASCII."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    def console(self) -> Console:
        """A rich console on stdout itself, for a command that fills the screen."""
        from rich.console import Console  # noqa: PLC0415 - as above

        color = self._invocation.color and not os.environ.get("NO_COLOR")
        return Console(color_system="auto" if color else None, highlight=False, markup=False, emoji=False)

    def _console(self, file: io.StringIO, *, width: int | None = None) -> Console:
        """A rich console that lays text out for stdout, and follows NO_COLOR, TERM=dumb and --no-color."""
        from rich.console import Console  # noqa: PLC0415 - as above

        return Console(
            file=file,
            force_terminal=self.draws,
            color_system="auto" if self._invocation.color and not os.environ.get("NO_COLOR") else None,
            width=width if self.draws else UNLIMITED_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar on stderr; none without a terminal, or with ``--quiet`` or ``--json``.

        Yields:
            Takes how much is done, and of how much.
        """
        silent = self._invocation.quiet or self._invocation.json or lines_are_json()
        if silent or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _done, _total: None
            return
        from rich.console import Console  # noqa: PLC0415 - as above
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - as above

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True, no_color=not self._invocation.color)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def failure(self, failure: Failure, *, reported: bool = False) -> None:
        """Print an error: one line on stderr and what to type next, or one JSON document.

        Args:
            failure: What to say.
            reported: The document of this run has been printed already.
        """
        if self._invocation.json and not reported:
            error = {"message": failure.message, "hint": failure.hint}
            self.document("error", {"exit_code": int(failure.code), "error": error})
            return
        _say(f"langcache: {failure.message}")
        if failure.hint:
            _say(failure.hint)


def _width_of_numbers(columns: Sequence[str], rows: Sequence[Sequence[object]], text_columns: int) -> int:
    """The least width of a table whose texts may be folded and whose numbers may not."""
    lines = [columns, *([str(cell) for cell in row] for row in rows)]
    numbers = sum(max(len(line[number]) for line in lines) for number in range(text_columns, len(columns)))
    return numbers + NARROWEST_TEXT * text_columns + BETWEEN_COLUMNS * len(columns)


def _say(text: str) -> None:
    """Print to stderr. Where that cannot be written to, nothing is left to say so."""
    try:
        print(stderr_line(text), file=sys.stderr, flush=True)  # noqa: T201 - this module is where printing happens
    except (OSError, ValueError):
        drop_output(2)


def _wait_for_a_line() -> None:
    """Return when there is a line to read, or a signal to handle.

    A Ctrl-C that comes the moment before `input` blocks would only be noticed after the answer.
    """
    import select  # noqa: PLC0415 - as above
    import socket  # noqa: PLC0415

    heard, told = socket.socketpair()
    with heard, told:
        told.setblocking(False)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            select.select([sys.stdin, heard], [], [])
        finally:
            signal.set_wakeup_fd(before)


def never_fail_to_encode() -> None:
    """Let stdout show what its encoding cannot hold escaped, as stderr does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    """Text of somebody else's, such as a foreign key, without what a terminal would obey."""
    return "".join(
        [
            letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
            for letter in text
        ]
    )


def milliseconds(value: float | None) -> str:
    """A latency for people: ``0.21 ms``, or a dash for none."""
    return "-" if value is None else f"{value:,.2f} ms"


def percent(ratio: float | None) -> str:
    """A ratio for people: ``98.2 %``, or a dash for none."""
    return "-" if ratio is None else f"{100 * ratio:.1f} %"
