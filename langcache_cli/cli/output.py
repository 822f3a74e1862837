"""Everything that is printed: results on stdout, the rest on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure
from langcache_cli.cli.formats.table import Grid, lay_out, wrapped
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.log_lines import lines_are_json, stderr_line
from langcache_cli.cli.streams import drop_output
from langcache_cli.readable import size

if TYPE_CHECKING:
    from rich.console import Console

COMMON_WIDTH = 80


class _Run:
    """The document of the running command: a process runs one at a time."""

    document: dict[str, Any] | None = None
    has_printed = False


RUN: Final = _Run()


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

    def warning(self, text: str) -> None:
        """Say what should be looked at though it passed, also with ``--quiet``; a document has a field."""
        if not self._invocation.json:
            _say(f"langcache: warning: {text}")

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

    def document(self, schema: str, content: Mapping[str, Any]) -> None:
        """Set the one JSON document of this run. It is printed at the end, with the error if there is one."""
        RUN.document = {"schema": f"langcache.{schema}/1", **content}

    def overview(self, overview: Mapping[str, Any]) -> None:
        """Set the document of the overview, which has a schema of its own."""
        RUN.document = dict(overview)

    def print_document(self) -> None:
        """Print the document now, if there is one that was not printed."""
        if RUN.document is not None:
            import json  # noqa: PLC0415 - see `running`

            document, RUN.document, RUN.has_printed = RUN.document, None, True
            self.line(json.dumps(document, ensure_ascii=False, default=str))

    def line(self, text: str) -> None:
        """Print one line of the result."""
        self._write(text + "\n")

    def done(self, text: str) -> None:
        """Print what was done, which is the result of a command that shows nothing; not with ``--quiet``."""
        if not self._invocation.quiet:
            self.line(text)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        text_columns: int = 1,
        drops: Sequence[str] | None = None,
    ) -> None:
        """Print a table that fits the terminal; without one plain columns, of any width.

        Where there is too little room, texts are wrapped between words, then columns are left out, and a line
        below the table says which.

        Args:
            title: Above the table; only on a terminal.
            columns: Headings.
            rows: Cells; numbers are set to the right.
            text_columns: How many columns, from the left, are text.
            drops: Headings of the columns that may be left out, least important first; by default all but the
                first two, from the right.
        """
        texts = [[" ".join(str(cell).splitlines()) for cell in row] for row in rows]
        width = self.width if sys.stdout.isatty() else None
        grid, dash = Grid(columns, texts, text_columns, drops), "─" if self.unicode else "-"
        lines = lay_out(grid, width, dash=dash, airy=self.draws)
        if self.draws:
            above = [*map(self._bold, wrapped(title, self.width)), ""] if title else []
            heading = [*above, *map(self._bold, lines.heading), lines.rule]
        else:
            heading = lines.heading
        below = []
        if lines.left_out:
            below = wrapped(
                f"Too narrow for {', '.join(lines.left_out)}: widen the terminal, or use --json.", self.width
            )
        self._write("".join(f"{line}\n" for line in (*heading, *lines.rows, *below)))

    def _bold(self, text: str) -> str:
        color = self._invocation.color and not os.environ.get("NO_COLOR")
        return f"\x1b[1m{text}\x1b[0m" if color and text else text

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
                raise CommandError(ExitCode.BAD_CONFIGURATION, message) from error
            self.closed = True

    @property
    def width(self) -> int:
        """The columns of stdout; those of a common terminal where it is none."""
        return shutil.get_terminal_size((COMMON_WIDTH, 24)).columns if sys.stdout.isatty() else COMMON_WIDTH

    @property
    def unicode(self) -> bool:
        """Whether stdout can show more than ASCII."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    def console(self) -> Console:
        """A rich console on stdout itself, for a command that fills the screen."""
        from rich.console import Console  # noqa: PLC0415 - as above

        color = self._invocation.color and not os.environ.get("NO_COLOR")
        return Console(color_system="auto" if color else None, highlight=False, markup=False, emoji=False)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar on stderr; none without a terminal, or with ``--quiet`` or ``--json``.

        Yields:
            Takes how much is done, and of how much; 0 if that is not known.
        """
        silent = self._invocation.quiet or self._invocation.json or lines_are_json()
        if silent or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _done, _total: None
            return
        from rich.console import Console  # noqa: PLC0415 - as above
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - as above

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counted]}"))
        console = Console(stderr=True, no_color=not self._invocation.color)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=None, counted="")

            def show(done: int, total: int) -> None:
                of_all = f" of {total:,}" if total else ""
                progress.update(task, completed=done, total=total or None, counted=f"{done:,}{of_all}")

            yield show

    def failure(self, failure: Failure) -> None:
        """Print an error: one line on stderr and what to type next, or as part of the JSON document."""
        if self._invocation.json and not RUN.has_printed:
            error = {"message": failure.message, "hint": failure.hint}
            if RUN.document is None:
                self.document("error", {})
            RUN.document = {**(RUN.document or {}), "exit_code": int(failure.code), "error": error}
            return
        _say(f"langcache: {failure.message}")
        if failure.hint:
            _say(failure.hint)


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


def memory_use(used_bytes: int, limit_bytes: int) -> str:
    """Memory for people: ``917 KB of 256 MB``, or ``917 KB, no limit``."""
    return f"{size(used_bytes)} of {size(limit_bytes)}" if limit_bytes else f"{size(used_bytes)}, no limit"
