"""docs/cli.md says what the command says of itself."""

import re

from langcache_cli.cli.exit_codes import MEANINGS, ExitCode
from tests.docs.cli_page import PAGE, page


def without_ranges(text: str) -> str:
    """The page without what versions of typer write in different ways: defaults and ranges."""
    return re.sub(r"\s*\((?:default|[^()|]*[<>]=)[^|]*\) \|", " |", text)


def test_the_page_is_that_of_the_command():
    made = without_ranges(page())
    assert without_ranges(PAGE.read_text("utf-8")) == made, "python -m tests.docs.cli_page writes it anew"


def test_every_exit_code_has_a_meaning():
    assert list(MEANINGS) == list(ExitCode)
