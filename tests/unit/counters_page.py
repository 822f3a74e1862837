"""The table of docs/counters.md, made from the table of counters: ``python -m tests.unit.counters_page``."""

import re
from pathlib import Path

from langcache_cli.caching.tooling import COUNTERS

PAGE = Path(__file__).parents[2] / "docs" / "counters.md"
HEAD = """\
| counter | in JSON | metric | unit | what it counts |
|---|---|---|---|---|
"""


def table() -> str:
    """One line for each counter."""
    return HEAD + "".join(
        f"| `{spec.name}` | `{spec.exported_name}` | `langcache_{spec.exported_name}_total` "
        f"| {spec.unit} | {spec.meaning} |\n"
        for spec in COUNTERS.values()
    )


def with_table(page: str) -> str:
    """The page, with its table made anew."""
    return re.sub(rf"{re.escape(HEAD)}(\|.*\n)*", lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
