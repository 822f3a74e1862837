"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done, without doing it.")]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Process at most this many keys a second, to spare the other clients of Redis.",
        metavar="KEYS/S",
        min=1,
        max=1_000_000_000,
    ),
]
Sample = Annotated[
    bool,
    typer.Option(
        "--sample", help="Use the 1,000 German words bundled with langcache instead of DATABASE_URL."
    ),
]
