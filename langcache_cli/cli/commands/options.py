"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")]
Sample = Annotated[
    bool, typer.Option("--sample", help="Use the 1,000 German words that come with langcache.")
]
