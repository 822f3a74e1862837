"""Episodes: files in a folder for each series, cleared when one is uploaded or deleted."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi import Path as InPath

from examples.backend.admin import require_admin
from langcache_cli.caching import invalidate_tags
from langcache_cli.fastapi import cached_route

router = APIRouter(prefix="/videos", tags=["videos"])

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,80}")
Name = Annotated[str, InPath(pattern=NAME.pattern)]


@dataclass(frozen=True)
class Episode:
    """A file of a series."""

    series: str
    name: str
    size_bytes: int
    uploaded: datetime


def scan(series: str, folder: Path) -> list[Episode]:
    """The episodes of a series, in the order of their names."""
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    return [
        Episode(series, file.name, file.stat().st_size, datetime.fromtimestamp(file.stat().st_mtime, tz=UTC))
        for file in files
    ]


def folder_of(request: Request, series: str) -> Path:
    """Where the episodes of a series are."""
    folder: Path = request.app.state.settings.backend_folder / "videos" / series
    return folder


@router.get("/{series}")
@cached_route(key_prefix="episodes", tags=("series:{series}",), ignore=("request",))
def list_episodes(series: Name, request: Request) -> list[Episode]:
    """The episodes of a series. A hit sends the stored bytes; the request only says where the folder is."""
    return scan(series, folder_of(request, series))


@router.put("/{series}/{name}", dependencies=[Depends(require_admin)])
async def upload(series: Name, name: Name, request: Request) -> list[Episode]:
    """Store the body as an episode."""
    folder, content = folder_of(request, series), await request.body()

    def write() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    await asyncio.to_thread(write)
    await invalidate_tags(f"series:{series}")
    return await asyncio.to_thread(scan, series, folder)


@router.delete("/{series}/{name}", dependencies=[Depends(require_admin)])
async def delete(series: Name, name: Name, request: Request) -> list[Episode]:
    """Remove an episode."""
    file = folder_of(request, series) / name
    if not file.is_file():
        raise HTTPException(404, "no such episode")
    await asyncio.to_thread(file.unlink)
    await invalidate_tags(f"series:{series}")
    return await asyncio.to_thread(scan, series, file.parent)
