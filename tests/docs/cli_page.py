"""docs/cli.md, made from the command itself: ``python -m tests.docs.cli_page``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from langcache_cli.cli.exit_codes import MEANINGS
from langcache_cli.cli.help import without_examples
from langcache_cli.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

HEAD = """\
# The command

`langcache COMMAND --help` says the same on a terminal. Global options may stand before or after the command.
The result goes to stdout, everything else to stderr. With `--json` the result is one document with the name
of its schema; the folder `docs/schemas` has a JSON Schema of each. A command that fails adds `exit_code` and
`error` to its document, and prints nothing else.
"""


def page() -> str:
    """The whole page."""
    command = typer.main.get_command(app)
    sections = [*_section(("langcache",), command)]
    for path, found in commands(command):
        sections += _section(("langcache", *path), found)
    return "\n".join([HEAD, *sections, "## Exit codes\n", *_exit_codes()])


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group, with its words; groups before their commands."""
    for name, found in group.commands.items():
        if not found.hidden:
            yield (*path, name), found
            if hasattr(found, "commands"):
                yield from commands(found, (*path, name))


def _section(words: tuple[str, ...], command: Any) -> Iterator[str]:
    description, examples = without_examples(command.help or "")
    title = " ".join(words) if len(words) > 1 else "Global options"
    yield f"## {title}\n" if len(words) <= 2 else f"### {title}\n"
    yield f"{_paragraphs(description)}\n"
    if examples:
        yield f"```text\n{examples}\n```\n"
    context = command.make_context(words[-1], [], resilient_parsing=True)
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if records:
        yield "| option | meaning |\n|---|---|"
        yield "".join(f"| `{_cell(names)}` | {_cell(meaning)} |\n" for names, meaning in records)


def _cell(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]$", r"(\1)", " ".join(text.split()))  # in brackets it would be a link
    return text.replace("|", "\\|")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _exit_codes() -> Iterator[str]:
    yield "| code | meaning |\n|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code.value} | {meaning} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
