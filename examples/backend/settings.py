"""What can be set from the environment, besides the settings of the cache."""

from pathlib import Path

from pydantic_settings import BaseSettings


class BackendSettings(BaseSettings):
    """``DATABASE_URL`` as for langcache; without it a SQLite file with the bundled words is made."""

    database_url: str | None = None
    backend_folder: Path = Path("backend-data")
    """Videos, and the SQLite file."""
    backend_admin_token: str = "let-me-edit"  # noqa: S105 - an example; the environment says another one
    backend_database_delay: float = 0.0
    backend_translation_delay: float = 0.15
    """Seconds: what a database and a translation service far away would take."""
    backend_translations_per_minute: int = 100
