"""The namespace of a run whose settings are wrong: what is measured again keeps its label."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from langcache_cli.cli.invocation import Invocation

VARIABLE: Final = "LANGCACHE_NAMESPACE"
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL: Final = re.compile(r'^langcache_up\{namespace="([A-Za-z0-9_.-]{1,64})"\}', re.MULTILINE)


def known_namespace(invocation: Invocation, textfile: Path | None) -> str:
    """The namespace that the command line, the environment or the settings file has, or else the textfile.

    Args:
        invocation: Its settings cannot be used.
        textfile: The file of an earlier run, if it is there.

    Returns:
        Empty if the settings file cannot be read and nothing else says it.
    """
    from langcache_cli.caching import CacheSettings, ConfigurationError  # noqa: PLC0415 - see `commands`
    from langcache_cli.caching.tooling import file_values  # noqa: PLC0415 - as above

    in_environment = (value for name, value in os.environ.items() if name.upper() == VARIABLE)
    found = invocation.namespace or next(in_environment, "")
    if not found:
        with contextlib.suppress(ConfigurationError):
            values = {name.upper(): value for name, value in file_values(invocation.settings_file).items()}
            found = values.get(VARIABLE) or str(CacheSettings.model_fields["namespace"].default)
    return found if _NAMESPACE.fullmatch(found) else _of_file(textfile)


def _of_file(path: Path | None) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        match = _LABEL.search(path.read_text("utf-8")) if path is not None else None
        return match[1] if match else ""
    return ""
