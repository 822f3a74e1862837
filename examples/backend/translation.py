"""Translations: they never change, and each costs a call of a slow and limited service."""

import os
from collections.abc import Sequence

from fastapi import APIRouter, Request
from pydantic import BaseModel

from examples.backend.translator import Translator
from langcache_cli.caching import cached, cached_many

router = APIRouter(prefix="/translate", tags=["translation"])


@cached(key_prefix="translation", ignore=["translator"])
async def translate_text(text: str, source_lang: str, target_lang: str, translator: Translator) -> str:
    """One text."""
    return (await translator.translate([text], source_lang, target_lang))[0]


@cached_many(translate_text, each="texts")
async def translate_batch(
    texts: Sequence[str], source_lang: str, target_lang: str, translator: Translator
) -> list[str]:
    """Many texts; only those that nobody has asked for are translated, in one call."""
    return await translator.translate(texts, source_lang, target_lang)


class Texts(BaseModel):
    """What to translate."""

    texts: list[str]
    source_lang: str = "de"
    target_lang: str = "en"


@router.get("")
async def translate(text: str, request: Request, source_lang: str = "de", target_lang: str = "en") -> str:
    """Translate one text."""
    return await translate_text(text, source_lang, target_lang, request.app.state.translator)


@router.get("/calls")
async def calls(request: Request) -> dict[str, int]:
    """How often this worker has called the translation service."""
    return {"worker": os.getpid(), "calls": request.app.state.translator.calls}


@router.post("/batch")
async def batch(body: Texts, request: Request) -> list[str]:
    """Translate many texts."""
    return await translate_batch(body.texts, body.source_lang, body.target_lang, request.app.state.translator)
