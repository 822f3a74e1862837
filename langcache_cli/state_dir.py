"""The folder for files that langcache keeps between runs: records of local servers, the sample database.

Loads nothing heavy: ``langcache warm --sample`` needs the folder and none of the server code.
"""

from __future__ import annotations

import os
from pathlib import Path

_NO_HOME = "this user has no home folder to keep state in; set LANGCACHE_STATE_DIR to a folder"


class NoStateFolderError(Exception):
    """There is no folder to keep files in: the user has no home."""


def default_state_dir(configured: str | None = None) -> Path:
    """``LANGCACHE_STATE_DIR``, else the platform's folder for a user's state. Always absolute.

    Args:
        configured: The variable's value in a settings file, which the environment overrides.

    Raises:
        NoStateFolderError: The folder is in the home of a user who has none.
    """
    chosen = os.environ.get("LANGCACHE_STATE_DIR") or configured
    if chosen:
        folder = Path(os.path.expanduser(chosen))  # noqa: PTH111 - Path.expanduser raises for want of a home
    else:
        import platformdirs  # noqa: PLC0415 - not needed if the variable is set

        try:
            folder = platformdirs.user_state_path("langcache")
        except RuntimeError:  # of newer versions
            raise NoStateFolderError(_NO_HOME) from None
    if folder.parts[:1] == ("~",):
        raise NoStateFolderError(_NO_HOME)
    return folder.absolute()
