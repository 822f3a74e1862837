"""The code blocks of Markdown documents, and a way to run those in Python.

Own code, as the blocks use `await` at the top level, as in an async REPL, and share names from one block to
the next: sybil and pytest-examples compile each as a plain module.
"""

import ast
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
"""On the line above a block: it cannot run, for this reason. Readers of the rendered page do not see it."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: The file.
        line: The number of its first line of code.
        language: What stands behind the fence.
        code: Its lines.
        section: The second-level heading above it.
        not_run: Why it cannot run, or None.
    """

    document: Path
    line: int
    language: str
    code: str
    section: str
    not_run: str | None = None


def blocks(document: Path, *languages: str) -> list[Block]:
    """The blocks in one of these languages, in order."""
    found, lines = [], document.read_text("utf-8").splitlines()
    section, opening = "", None
    for number, line in enumerate(lines):
        if line.startswith("## ") and opening is None:
            section = line.removeprefix("## ")
        if not line.startswith("```"):
            continue
        if opening is None:
            opening = number
        else:
            found.append(_block(document, lines[opening - 1 : number], opening, section))
            opening = None
    assert opening is None, f"{document}:{opening}: a block without an end"
    return [block for block in found if block.language in languages]


def _block(document: Path, lines: Sequence[str], opening: int, section: str) -> Block:
    """A block of lines from the one above the fence, which is the line ``opening`` counted from 0."""
    above, fence, *code = lines
    mark = NOT_RUN.fullmatch(above.strip())
    return Block(
        document=document,
        line=opening + 2,
        language=fence.removeprefix("```"),
        code="\n".join(code) + "\n",
        section=section,
        not_run=mark[1] if mark else None,
    )


async def run(block: Block, names: dict[str, Any]) -> None:
    """Run a block in Python. Tracebacks show the line of the document."""
    padded = "\n" * (block.line - 1) + block.code
    code = compile(
        padded, str(block.document), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result
