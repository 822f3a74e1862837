"""Tables on a terminal: no digit and no word is cut; columns are left out instead, and that is said."""

import io
import re
import sys

import pytest

from langcache_cli.cli.formats.table import Grid, cells, lay_out, wrapped
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output

COLUMNS = ("Type", "Keys", "Memory", "Hits", "Misses", "Hit rate", "Hit p95", "Load p95")
ROWS = (
    ("vocabulary_progress", "≈ 12,044,113", "1.5 GB ± 30 MB", "12,960,001", "40,000", "98.7 %", "2.01 ms",
     "8.19 ms"),
    ("all", "12,044,120", "1.5 GB", "12,960,001", "40,000", "98.7 %", "2.01 ms", "154.63 ms"),
)  # fmt: skip
DROPS = ("Load p95", "Hit p95", "Memory", "Misses", "Keys")
GRID = Grid(COLUMNS, ROWS, drops=DROPS)


class Screen(io.TextIOWrapper):
    """A terminal that keeps what is written to it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()


@pytest.fixture
def show(monkeypatch):
    """The lines that a terminal of a width shows of a table."""

    def shown(width, grid=GRID, *, encoding="utf-8", title="The last 1h", **env):
        screen = Screen(encoding)
        with monkeypatch.context() as changed:
            for name in ("NO_COLOR", "TERM"):
                changed.delenv(name, raising=False)
            for name, value in {"COLUMNS": str(width), "TERM": "xterm", **env}.items():
                changed.setenv(name, value)
            changed.setattr(sys, "stdout", screen)
            Output(Invocation()).table(
                title, grid.columns, grid.rows, text_columns=grid.text_columns, drops=grid.drops
            )
        return screen.shown.splitlines()

    return shown


def plain(lines):
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


def words(lines):
    return {word for line in lines for word in line.split()}


def test_every_number_that_is_shown_is_whole():
    for width in range(20, 170):
        lines = lay_out(GRID, width)
        shown = [place for place, name in enumerate(COLUMNS) if name not in lines.left_out]
        assert list(lines.left_out) == list(DROPS[: len(lines.left_out)])
        for row in ROWS:
            assert words([row[place] for place in shown]) <= words(lines.rows)
        if width >= 48:  # narrower than what must be shown
            assert max(map(cells, (*lines.heading, lines.rule, *lines.rows))) <= width
    assert not lay_out(GRID, 169).left_out


def test_60_80_and_160_columns(show):
    at = {width: plain(show(width)) for width in (60, 80, 160)}
    for width, lines in at.items():
        assert max(map(cells, lines)) <= width
        assert lines[0] == "The last 1h"
    assert at[60][-2:] == [
        "Too narrow for Load p95, Hit p95, Memory, Misses: widen the",
        "terminal, or use --json.",
    ]
    assert at[80][-1] == "Too narrow for Load p95, Hit p95: widen the terminal, or use --json."
    assert at[160][-1].endswith("154.63 ms")
    assert len(at[160]) == 6


def test_no_limit_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    Output(Invocation()).table("Title", COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == " ".join(COLUMNS).split()
    assert len(lines) == 3
    assert lines[1].endswith("2.01 ms    8.19 ms")


def test_no_color_dumb_terminals_and_ascii(show):
    assert any("\x1b[1m" in line for line in show(160))
    assert "\x1b" not in "".join(show(160, NO_COLOR="1"))
    dumb = show(80, TERM="dumb")
    assert "\x1b" not in "".join(dumb)
    assert "─" not in "".join(dumb)
    assert max(map(cells, dumb)) <= 80
    grid = Grid(("Type", "Keys"), (("vocabulary", "1"),))
    assert plain(show(80, grid, encoding="ascii"))[3].strip() == "-" * 17
    assert plain(show(80, grid))[3].strip() == "─" * 17


def test_texts_are_wrapped_between_words():
    grid = Grid(("Result", "Check", "Found", "Took"), (
        ("failed", "redis", "the server is a replica of 10.0.0.7:6379 and takes no writes", "12.50 ms"),
    ), text_columns=3)  # fmt: skip
    lines = lay_out(grid, 50)
    assert lines.left_out == ()
    assert words(lines.rows) == words(grid.rows[0])
    assert len(lines.rows) > 1


def test_a_key_longer_than_the_terminal_is_broken_and_not_cut():
    key = "cache:vocabulary:" + "x" * 100
    lines = lay_out(Grid(("Key", "TTL"), ((key, "3,600"),)), 60)
    assert lines.rows[0].endswith("3,600")
    assert "".join(line.split()[0] for line in lines.rows) == key
    assert max(map(len, lines.rows)) <= 60


def test_wide_letters_take_two_columns():
    assert cells("日本") == 4
    assert wrapped("日本日本", 4) == ["日本", "日本"]
    assert cells("e\u0301") == 1
    lines = lay_out(Grid(("Word", "n"), (("日本", "1"), ("abc", "22"))), 40)
    assert len({cells(line) for line in lines.rows}) == 1


def test_an_empty_table_has_its_headings():
    assert lay_out(Grid(("Type", "Keys"), ()), 40).heading == [" Type   Keys"]
