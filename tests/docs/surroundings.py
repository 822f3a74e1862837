"""The applications around the Python blocks of the documents: names that blocks use and do not define."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.docs.blocks import ROOT
from tests.docs.cookbook_services import services

Names = dict[str, Any]
ADMIN = {"X-Admin": "yes"}


class Tables(DeclarativeBase):
    pass


class WordRow(Tables):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    lemma: Mapped[str]
    translation_en: Mapped[str]


class UserRow(Tables):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class Word(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    lemma: str
    translation_en: str


class UserStats(BaseModel):
    words: int


def require_admin(x_admin: str = Header(default="no")) -> None:
    if x_admin != ADMIN["X-Admin"]:
        raise HTTPException(403)


async def your_get_db() -> AsyncIterator[AsyncSession]:
    yield AsyncSession()


@asynccontextmanager
async def your_own_lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


async def batches_of_ids(db: AsyncSession) -> AsyncIterator[Sequence[int]]:
    yield list(await db.scalars(select(WordRow.id).order_by(WordRow.id)))


@asynccontextmanager
async def backend(folder: Path) -> AsyncIterator[Names]:
    """A backend with a database of two words."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/words.db")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Tables.metadata.create_all)
        async with sessions() as db:
            db.add(WordRow(id=7, lemma="Haus", translation_en="house"))
            db.add(WordRow(id=8, lemma="Baum", translation_en="tree"))
            await db.commit()
            yield {
                "AsyncSession": AsyncSession,
                "Depends": Depends,
                "FastAPI": FastAPI,
                "Sequence": Sequence,
                "UserStats": UserStats,
                "Word": Word,
                "WordRow": WordRow,
                "UserRow": UserRow,
                "app": FastAPI(),
                "batches_of_ids": batches_of_ids,
                "db": db,
                "get_db": your_get_db,
                "require_admin": require_admin,
                "sessions": sessions,
                "update": update,
                "your_own_lifespan": your_own_lifespan,
            }
    finally:
        await engine.dispose()


async def current_user(x_user: Annotated[int, Header()]) -> UserRow:
    return UserRow(id=x_user)


async def count_words(user_id: int, db: AsyncSession) -> UserStats:
    return UserStats(words=(await db.scalar(select(func.count()).select_from(WordRow)) or 0) * user_id)


@asynccontextmanager
async def cookbook(folder: Path) -> AsyncIterator[Names]:
    """The backend, with dependencies for its routes, and services outside of it."""
    async with backend(folder) as names:

        async def get_db() -> AsyncIterator[AsyncSession]:
            async with names["sessions"]() as db:
                yield db

        routes = {"count_words": count_words, "current_user": current_user, "get_db": get_db}
        yield {**names, **routes, **services()}


@asynccontextmanager
async def nothing(_: Path) -> AsyncIterator[Names]:
    """Blocks that import everything they use."""
    yield {}


SURROUNDINGS: dict[Path, Callable[[Path], AbstractAsyncContextManager[Names]]] = {
    ROOT / "README.md": backend,
    ROOT / "docs" / "backend.md": backend,
    ROOT / "docs" / "cookbook.md": cookbook,
    ROOT / "docs" / "migrating.md": backend,
    ROOT / "docs" / "routes.md": backend,
}
"""By document; one that is not listed here has `nothing` around its blocks."""
