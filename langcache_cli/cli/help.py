"""What ``--help`` shows: usage, examples, what the command does, its options; as wide as the terminal."""

from __future__ import annotations

import inspect
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

MOST_COLUMNS: Final = 120
"""Longer lines are hard to read."""

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": MOST_COLUMNS}

HEADING: Final = "Examples:\n"
"""Begins the examples in the docstring of a command, one a line, indented."""


def without_examples(text: str) -> tuple[str, str]:
    """The description of a command and its examples, each without indentation."""
    description, _, examples = inspect.cleandoc(text).partition(HEADING)
    return description.strip(), inspect.cleandoc(examples)


class _WithExamples:
    """Puts the examples of a docstring before its text."""

    help: str | None

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as click calls it
        """Write both."""
        description, examples = without_examples(self.help or "")
        if examples:
            with formatter.section(HEADING.strip().removesuffix(":")):
                for line in examples.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        if description:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(description)


class HelpfulCommand(_WithExamples, TyperCommand):
    """A command whose docstring may have examples."""


class HelpfulGroup(_WithExamples, TyperGroup):
    """A group of commands whose help may have examples."""
