"""Metrics and spans through OpenTelemetry, as an exporter in memory sees them."""

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langcache_cli.caching import Cache, cached_many
from langcache_cli.caching.tooling import COUNTERS
from langcache_cli.otel import instrument

OF_WORDS = {
    "langcache.type": "vocabulary",
    "langcache.prefix": "vocabulary",
    "langcache.function": "get_word",
}


class Collected:
    """What an application would export."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.exporter = InMemorySpanExporter()
        tracer_provider = TracerProvider(shutdown_on_exit=False)
        tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = tracer_provider.get_tracer("application")
        self.providers: dict[str, Any] = {
            "meter_provider": MeterProvider([self.reader], shutdown_on_exit=False),
            "tracer_provider": tracer_provider,
        }

    def spans(self) -> list[ReadableSpan]:
        return [*self.exporter.get_finished_spans()]

    def points(self, name: str) -> list[Any]:
        """The data points of one metric."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        metrics = [
            one for group in data.resource_metrics for scope in group.scope_metrics for one in scope.metrics
        ]
        return [point for one in metrics if one.name == name for point in one.data.data_points]


@pytest.fixture
def collected() -> Collected:
    return Collected()


def get_word_of(cache: Cache) -> Any:
    @cache.cached(key_prefix="vocabulary")
    async def get_word(word_id: int) -> str:
        if word_id < 0:
            raise LookupError("no such word")
        await asyncio.sleep(0)
        return "Haus"

    return get_word


async def test_counters_are_metrics_when_they_are_collected(cache, collected):
    instrument(cache, **collected.providers)
    get_word = get_word_of(cache)
    for _ in range(3):
        await get_word(7)
    (hits,) = collected.points("langcache.hits")
    assert (hits.value, dict(hits.attributes)) == (2, OF_WORDS)
    names = {f"langcache.{spec.exported_name}" for spec in COUNTERS.values()}
    assert "langcache.read_bytes" in names
    (duration,) = collected.points("langcache.load.duration")
    assert (duration.count, dict(duration.attributes)) == (1, OF_WORDS)


async def test_a_load_is_a_span_around_what_the_function_does(cache, collected):
    instrument(cache, **collected.providers)

    @cache.cached(key_prefix="vocabulary")
    async def get_word(word_id: int) -> str:
        with collected.tracer.start_as_current_span("query"):
            return "Haus"

    with collected.tracer.start_as_current_span("request"):
        await get_word(7)
        await get_word(7)
    query, load, request = collected.spans()
    assert [span.name for span in (query, load, request)] == ["query", "load get_word", "request"]
    assert query.parent is not None
    assert query.parent.span_id == load.context.span_id
    assert load.parent is not None
    assert load.parent.span_id == request.context.span_id
    assert dict(load.attributes or {}) == OF_WORDS


async def test_a_synchronous_function_runs_inside_the_span_of_its_load(cache, collected):
    instrument(cache, **collected.providers)

    @cache.cached(key_prefix="vocabulary")
    def get_word(word_id: int) -> str:
        with collected.tracer.start_as_current_span("query"):
            return "Haus"

    assert await asyncio.to_thread(get_word, 7) == "Haus"
    await asyncio.to_thread(cache.sync.close)
    query, load = collected.spans()
    assert (query.name, load.name) == ("query", "load get_word")
    assert query.parent is not None
    assert query.parent.span_id == load.context.span_id


async def test_a_load_that_raises_is_an_error(cache, collected):
    instrument(cache, **collected.providers)
    with pytest.raises(LookupError):
        await get_word_of(cache)(-1)
    (load,) = collected.spans()
    assert not load.status.is_ok
    assert (load.attributes or {})["error.type"] == "LookupError"
    (duration,) = collected.points("langcache.load.duration")
    assert duration.attributes["error.type"] == "LookupError"


async def test_calls_are_spans_if_asked_for_with_what_they_were(cache, collected):
    get_word = get_word_of(cache)
    instrument(cache, calls=True, keys=True, **collected.providers)
    await get_word(7)
    await get_word(7)
    calls = [span for span in collected.spans() if span.name == "cached get_word"]
    assert [(span.attributes or {})["langcache.outcome"] for span in calls] == ["miss", "hit"]
    assert {(span.attributes or {})["langcache.key"] for span in calls} == {get_word.key_for(7)}
    assert all(span.end_time >= span.start_time for span in calls)


async def test_a_load_of_many_is_one_span(cache, collected):
    instrument(cache, **collected.providers)
    get_word = get_word_of(cache)

    @cached_many(get_word, each="word_ids")
    async def get_words(word_ids: list[int]) -> list[str]:
        return ["Haus"] * len(word_ids)

    await get_words([1, 2, 3])
    assert [span.name for span in collected.spans()] == ["load get_word"]


async def test_it_ends(cache, collected):
    end = instrument(cache, calls=True, **collected.providers)
    get_word = get_word_of(cache)
    end()
    await get_word(7)
    assert collected.spans() == []
    assert collected.points("langcache.hits") == []
    assert cache.direct


async def test_a_cache_is_instrumented_once(cache, collected):
    end = instrument(cache, **collected.providers)
    with pytest.raises(RuntimeError, match="instrumented already"):
        instrument(cache, **collected.providers)
    end()
    instrument(cache, **collected.providers)()


class Failing(SimpleSpanProcessor):
    """Of an application, and broken."""

    def __init__(self, where: str) -> None:
        super().__init__(InMemorySpanExporter())
        self.where = where

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self.where == "start":
            raise RuntimeError("on_start")

    def on_end(self, span: ReadableSpan) -> None:
        if self.where == "end":
            raise RuntimeError("on_end")


@pytest.mark.parametrize("where", ["start", "end"])
async def test_a_broken_processor_fails_no_call(cache, collected, caplog, where):
    collected.providers["tracer_provider"].add_span_processor(Failing(where))
    instrument(cache, calls=True, **collected.providers)
    get_word = get_word_of(cache)
    assert [await get_word(7) for _ in range(2)] == ["Haus", "Haus"]
    with pytest.raises(LookupError):
        await get_word(-1)
    assert "failed" in caplog.text
