"""Workflow commands of GitHub Actions, which become annotations of a run.

Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

from langcache_cli.cli.formats.outcome import Outcome, Outcomes

COMMANDS = {"failed": "error", "unknown": "error", "warning": "warning"}
IN_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
IN_PROPERTY = (*IN_DATA, (":", "%3A"), (",", "%2C"))


def github_lines(outcomes: Outcomes) -> list[str]:
    """One line for each check; only what failed or is a warning becomes an annotation."""
    return [_line(outcome) for outcome in outcomes]


def _line(outcome: Outcome) -> str:
    command = COMMANDS.get(outcome.result)
    if command is None:
        return f"ok: {outcome.name}: {_escaped(outcome.detail, IN_DATA)}"
    title = _escaped(f"langcache: {outcome.name}", IN_PROPERTY)
    return f"::{command} title={title}::{_escaped(outcome.sentence, IN_DATA)}"


def _escaped(text: str, replacements: tuple[tuple[str, str], ...]) -> str:
    for letter, escape in replacements:
        text = text.replace(letter, escape)
    return text
