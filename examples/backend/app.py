"""The application: five services, each in a file of its own, and the cache beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from examples.backend import progress, subtitles, translation, videos, vocabulary
from examples.backend.admin import require_admin
from examples.backend.database import make_engine, prepare
from examples.backend.settings import BackendSettings
from examples.backend.translator import TooManyTranslationsError, Translator
from langcache_cli.fastapi import cache_dashboard, cache_lifespan, cache_router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and the translation service."""
    settings = BackendSettings()
    settings.backend_folder.mkdir(parents=True, exist_ok=True)
    app.state.settings = settings
    app.state.engine = make_engine(settings)
    app.state.translator = Translator(
        delay_seconds=settings.backend_translation_delay,
        calls_per_minute=settings.backend_translations_per_minute,
    )
    await prepare(app.state.engine)
    yield
    await app.state.engine.dispose()


async def too_many(_request: Request, _error: Exception) -> JSONResponse:
    """The translation service's limit, as ours."""
    return JSONResponse({"detail": "too many translations a minute"}, 503, {"Retry-After": "60"})


app = FastAPI(
    title="A language-learning backend",
    lifespan=cache_lifespan(lifespan),
    exception_handlers={TooManyTranslationsError: too_many},
)
app.include_router(cache_router(admin=[Depends(require_admin)]))
app.include_router(cache_dashboard(admin=[Depends(require_admin)]), prefix="/admin/cache")
for service in (vocabulary, translation, progress, videos, subtitles):
    app.include_router(service.router)
