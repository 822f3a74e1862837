"""Names of the paths of a function of an application: ``prefix:function hit`` and ``... origin``."""

from __future__ import annotations

HIT, ORIGIN = " hit", " origin"


def is_hit(path: str) -> bool:
    """True for the cached call of a function of an application."""
    return path.endswith(HIT)


def origin_of(path: str) -> str:
    """The path that runs the function of a hit uncached."""
    return path.removesuffix(HIT) + ORIGIN


def names_of(stem: str) -> tuple[str, str]:
    """The paths of a function, ``prefix:function``."""
    return stem + HIT, stem + ORIGIN


def stem_of(path: str) -> str:
    """The function of a path; the path itself if it is of none."""
    return path.removesuffix(HIT).removesuffix(ORIGIN)
