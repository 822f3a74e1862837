"""The folder for files that langcache keeps between runs: records of local servers, the sample database.

Loads nothing heavy: ``langcache warm --sample`` needs the folder and none of the server code.
"""

from __future__ import annotations

import os
from pathlib import Path


def default_state_dir() -> Path:
    """``LANGCACHE_STATE_DIR``, else the platform's folder for a user's state. Always absolute."""
    chosen = os.environ.get("LANGCACHE_STATE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # noqa: PLC0415 - not needed if the variable is set

    return platformdirs.user_state_path("langcache").absolute()
