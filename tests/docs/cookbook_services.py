"""What the recipes of docs/cookbook.md call and do not define: services outside of the application."""

from collections.abc import Callable
from typing import Any

from tests.integration.cache_support import Gate


class Service:
    """Something slow. A test says what it answers, may hold it back, and sees what it was asked."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.gate = Gate(is_open=True)

    async def __call__(self, *arguments: Any) -> Any:
        self.asked.append(arguments[0] if len(arguments) == 1 else arguments)
        await self.gate()
        return self.answer(*arguments)

    def fails(self, error: Exception) -> None:
        """Raise from now on."""

        def answer(*_: Any) -> Any:
            raise error

        self.answer = answer


class Report:
    """A plain function whose calls are counted."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, user_id: int) -> dict[str, int]:
        self.asked.append(user_id)
        return {"total": user_id}


def services() -> dict[str, Any]:
    """By name what the recipes call."""
    return {
        "dictionary_service": Service({"Haus": "house"}.get),
        "export_of": Service(lambda user_id: ["x" * user_id]),
        "find_words": Service(lambda filters: sorted(filters.topics)),
        "flags_of": Service(lambda tenant: {"new": True}),
        "import_from_publisher": Service(lambda: None),
        "nickname_service": Service(lambda user_id: None),
        "price_service": Service(lambda article: 9.9),
        "rate_service": Service(lambda currency: 1.5),
        "report_of": Report(),
        "slow_query": Service(lambda language: [language]),
        "token_service": Service(lambda client_id: {"text": client_id, "expires_at": 0}),
        "translation_service": Service(lambda text: f"{text} (en)"),
        "weather_service": Service(lambda city: f"rain in {city}"),
        "words_of": Service(lambda level: [f"{level}-1", f"{level}-2"]),
    }
