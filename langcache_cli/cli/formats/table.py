"""Tables as lines of text that fit the terminal: columns are left out before a number or a word is cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDE_GAP, NARROW_GAP = 3, 2
"""Between two columns, where there is room and where there is not."""

LONGEST_WORD = 24
"""A longer word, such as a key or a path, may be broken; no piece but the last is shorter than this."""

ALWAYS_SHOWN = 2
"""So many columns from the left stay, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table.

    Attributes:
        columns: Headings.
        rows: Cells; as many in each row as there are headings.
        text_columns: How many columns, from the left, are text; the others are numbers, set to the right.
        drops: Headings of the columns that may be left out, least important first; None for all but the
            first two, from the right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1
    drops: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """A table that was laid out.

    Attributes:
        heading: The headings.
        rule: The line below them.
        rows: All other lines.
        left_out: The headings of columns for which there was no room.
    """

    heading: list[str]
    rule: str
    rows: list[str]
    left_out: tuple[str, ...]


def lay_out(grid: Grid, width: int | None, *, dash: str = "-", airy: bool = True) -> Lines:
    """Lay a table out.

    Args:
        grid: The table.
        width: Columns of the terminal; None for no limit: nothing is wrapped or left out.
        dash: What the rule is made of.
        airy: Put more space between columns, where there is room.
    """
    drops = (
        grid.columns[: ALWAYS_SHOWN - 1 : -1]
        if grid.drops is None
        else [one for one in grid.drops if one in grid.columns]
    )
    if width is None:
        return _drawn(grid, (), NARROW_GAP, None, dash)
    for count in range(len(drops) + 1):
        left_out = tuple(drops[:count])
        for gap in (WIDE_GAP, NARROW_GAP) if airy else (NARROW_GAP,):
            if sum(_least(grid, left_out)) + _edges(grid, left_out, gap) <= width:
                return _drawn(grid, left_out, gap, width, dash)
    return _drawn(grid, tuple(drops), NARROW_GAP, width, dash)


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text; a word is broken only if it is longer than a line."""
    if cells(text) <= width:
        return [text]
    lines, line = list[str](), ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if cells(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        pieces = list(_pieces(word, width))
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of_letter, text))


def _cells_of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _pieces(word: str, width: int) -> Iterator[str]:
    piece, taken = "", 0
    for letter in word:
        size = _cells_of_letter(letter)
        if piece and taken + size > width:
            yield piece
            piece, taken = "", 0
        piece, taken = piece + letter, taken + size
    yield piece


def _shown(grid: Grid, left_out: Sequence[str]) -> list[int]:
    return [place for place, heading in enumerate(grid.columns) if heading not in left_out]


def _edges(grid: Grid, left_out: Sequence[str], gap: int) -> int:
    """The columns of the terminal that are not part of a cell; a wide table has a space on its left."""
    return gap * (len(_shown(grid, left_out)) - 1) + (gap == WIDE_GAP)


def _natural(grid: Grid, place: int) -> int:
    return max(cells(grid.columns[place]), *(cells(row[place]) for row in grid.rows), 0)


def _least(grid: Grid, left_out: Sequence[str]) -> list[int]:
    """The width that each column must have."""
    return [_least_of(grid, place) for place in _shown(grid, left_out)]


def _least_of(grid: Grid, place: int) -> int:
    if place >= grid.text_columns:
        return _natural(grid, place)
    texts = (grid.columns[place], *(row[place] for row in grid.rows))
    longest = max((cells(word) for text in texts for word in text.split()), default=0)
    return min(longest, max(LONGEST_WORD, cells(grid.columns[place])))


def _drawn(grid: Grid, left_out: tuple[str, ...], gap: int, width: int | None, dash: str) -> Lines:
    shown = _shown(grid, left_out)
    sizes = [_natural(grid, place) for place in shown]
    if width is not None:
        sizes = _shrunk(sizes, _least(grid, left_out), width - _edges(grid, left_out, gap))
    edge = " " if gap == WIDE_GAP else ""

    def lines_of(row: Sequence[str]) -> Iterator[str]:
        texts = [wrapped(row[place], size) for place, size in zip(shown, sizes, strict=True)]
        for number in range(max(map(len, texts))):
            parts = [
                _set(text[number] if number < len(text) else "", size, to_left=place < grid.text_columns)
                for place, size, text in zip(shown, sizes, texts, strict=True)
            ]
            yield f"{edge}{(' ' * gap).join(parts)}".rstrip()

    return Lines(
        heading=list(lines_of(grid.columns)),
        rule=edge + dash * (sum(sizes) + gap * (len(sizes) - 1)),
        rows=[line for row in grid.rows for line in lines_of(row)],
        left_out=left_out,
    )


def _shrunk(sizes: list[int], least: list[int], room: int) -> list[int]:
    """The widths of columns, where the widest has given way until all fit, or none can."""
    while sum(sizes) > room:
        widest = max(range(len(sizes)), key=lambda place: (sizes[place] > least[place], sizes[place]))
        if sizes[widest] <= least[widest]:
            break
        others = sum(sizes) - sizes[widest]
        second = max((size for place, size in enumerate(sizes) if place != widest), default=0)
        sizes[widest] = max(least[widest], min(sizes[widest] - 1, max(room - others, second)))
    return sizes


def _set(text: str, size: int, *, to_left: bool) -> str:
    spaces = " " * max(size - cells(text), 0)
    return text + spaces if to_left else spaces + text
