"""What to type to install an extra of this package."""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

NAME: Final = "langcache-cli"


def install_line(extra: str, direct_url: str | None = None) -> str:
    """The line that installs an extra from where langcache itself came from.

    Args:
        extra: Its name.
        direct_url: What the installer has recorded, as JSON; by default what it has recorded of langcache.
    """
    source = _source(_recorded() if direct_url is None else direct_url)
    if source is None:
        return f"pip install '{NAME}[{extra}]', or in a clone: pip install '.[{extra}]'"
    options, place = source
    if place.startswith("/"):
        return f"pip install {options}{shlex.quote(f'{place}[{extra}]')}"
    return f"pip install {shlex.quote(f'{NAME}[{extra}] @ {place}')}"


def _recorded() -> str:
    try:
        return metadata.distribution(NAME).read_text("direct_url.json") or ""
    except (metadata.PackageNotFoundError, OSError, UnicodeDecodeError):
        return ""


def _source(direct_url: str) -> tuple[str, str] | None:
    """Options of pip, and the folder or URL that langcache was installed from; None if it is not known.

    See https://packaging.python.org/en/latest/specifications/direct-url-data-structure/.
    """
    try:
        found: dict[str, Any] = json.loads(direct_url or "{}")
        url = urlsplit(str(found.get("url", "")))
    except ValueError:
        return None
    if url.scheme == "file" and "dir_info" in found:
        folder = unquote(url.path)
        if not (Path(folder) / "pyproject.toml").is_file():  # the clone is gone
            return None
        return "-e " if found["dir_info"].get("editable") else "", folder
    if "vcs_info" in found and "@" not in url.netloc:  # with a login, it is not for others to see
        return "", f"{found['vcs_info'].get('vcs', 'git')}+{url.geturl()}"
    return None
