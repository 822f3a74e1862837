"""An endpoint whose annotations are quoted, and partly for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Header, HTTPException

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


def require_admin(authorization: Annotated[str, Header()] = "") -> None:
    if authorization != "root":
        raise HTTPException(403)


async def get_db() -> Any:
    yield "db"


async def salaries(
    db: AsyncSession = Depends(get_db),  # noqa: B008 - as many applications have it
    admin: Annotated[None, Depends(require_admin)] = None,
) -> Unknown:  # type: ignore[name-defined] # noqa: F821
    """Only for admins."""
    return ["of all"]
