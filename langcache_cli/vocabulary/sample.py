"""The bundled sample: 1,000 German words, as rows and as a SQLite database."""

from __future__ import annotations

import csv
import errno
import os
import tempfile
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from langcache_cli.vocabulary.words import metadata, vocabulary_words

_NUMBERS = frozenset({"id", "frequency_rank"})


def sample_rows() -> list[dict[str, Any]]:
    """The sample, a dict of columns for each word; what is unknown is None."""
    lines = _sample_text().splitlines()
    return [
        {name: int(text) if name in _NUMBERS else text or None for name, text in row.items()}
        for row in csv.DictReader(lines)
    ]


def sample_database(folder: Path) -> str:
    """The URL of a SQLite database with the sample, made in ``folder`` unless it is there already.

    Raises:
        OSError: The folder cannot be written.
    """
    version = blake2b(_sample_text().encode(), digest_size=4).hexdigest()
    path = folder / f"sample-{version}.db"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path)
    return f"sqlite:///{path}"


def _write(path: Path) -> None:
    """Make the database under another name first: a half-made one must never be found."""
    handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    engine = create_engine(f"sqlite:///{unfinished}")
    try:
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(vocabulary_words.insert(), sample_rows())
        engine.dispose()
        Path(unfinished).replace(path)
    except OperationalError as error:
        raise OSError(errno.EIO, str(error.orig), str(path)) from error
    finally:
        engine.dispose()
        Path(unfinished).unlink(missing_ok=True)


def _sample_text() -> str:
    return (files("langcache_cli.vocabulary") / "sample.csv").read_text("utf-8")
