"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")]
Rate = Annotated[
    float | None,
    typer.Option(
        help="No more than this many keys a second, for the sake of Redis' other clients.",
        metavar="KEYS/S",
        min=1,
        max=1_000_000_000,
    ),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Use the 1,000 German words that come with langcache.")
]
