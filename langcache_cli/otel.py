"""OpenTelemetry: the counters of this process as metrics, and a span for each run of a cached function.

```python
from langcache_cli.otel import instrument

instrument()
```

Metrics are read when they are collected, so a hit costs nothing more. A run of a function is a span
``load get_word`` around what the function does, such as its database queries, and a record in the histogram
``langcache.load.duration``. Providers are those of the process unless others are given.

There is no semantic convention for caches: attributes are ``langcache.type``, ``langcache.prefix`` and
``langcache.function``, and ``error.type`` of a load that raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter
from opentelemetry.trace import Span, Status, StatusCode, Tracer, TracerProvider, get_tracer

from langcache_cli.caching import Cache, CallRecord, get_default_cache
from langcache_cli.caching.tooling import COUNTERS, OUTBOX, CounterSpec, Label, nothing_around

__all__ = ["instrument"]

logger = logging.getLogger("langcache_cli.caching")

T = TypeVar("T")

SCOPE = "langcache_cli"
SNAPSHOT_SECONDS = 0.2
"""The counters of one collection are read once: that many instruments are asked in one go."""

Attributes = dict[str, str]


def instrument(
    cache: Cache | None = None,
    *,
    calls: bool = False,
    keys: bool = False,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> Callable[[], None]:
    """Export the numbers of a cache, and its loads as spans, through OpenTelemetry.

    Args:
        cache: None for the default cache, which is made from the environment then.
        calls: A span for each call of a cached function, hits among them, with ``langcache.outcome``; it
            takes some microseconds of each call, and tens with a provider that samples it.
        keys: Spans have the Redis key, which holds the arguments of the call, as ``langcache.key``.
        meter_provider: None for that of the process.
        tracer_provider: None for that of the process.

    Returns:
        A function that ends it.

    Raises:
        RuntimeError: The cache is instrumented already.
    """
    cache = cache or get_default_cache()
    if cache.events.around_load is not nothing_around:
        raise RuntimeError("this cache is instrumented already; first call what instrument() returned then")
    instrumented = _Instrumented(
        cache,
        get_meter(SCOPE, meter_provider=meter_provider),
        get_tracer(SCOPE, tracer_provider=tracer_provider),
        keys=keys,
    )
    return instrumented.start(calls=calls)


class _Instrumented:
    """The instruments of one cache."""

    def __init__(self, cache: Cache, meter: Meter, tracer: Tracer, *, keys: bool) -> None:
        self._cache = cache
        self._tracer = tracer
        self._shows_keys = keys
        self._is_on = True
        self._snapshot: Mapping[Label, Mapping[str, int]] = {}
        self._taken_at = float("-inf")
        self._durations = meter.create_histogram(
            "langcache.load.duration", unit="s", description="How long the functions behind the cache took."
        )
        for spec in COUNTERS.values():
            meter.create_observable_counter(
                f"langcache.{spec.exported_name}",
                callbacks=[self._callback(spec)],
                unit="By" if spec.unit == "bytes" else f"{{{spec.unit.removesuffix('s')}}}",
                description=spec.help_text,
            )

    def start(self, *, calls: bool) -> Callable[[], None]:
        """Begin with spans; returns a function that ends everything."""
        end_observing = self._cache.observe(self._called) if calls else _nothing
        self._cache.events.around_load = self._load

        def end() -> None:
            self._is_on = False
            end_observing()
            if self._cache.events.around_load == self._load:
                self._cache.events.around_load = nothing_around

        return end

    def _callback(self, spec: CounterSpec) -> Callable[[CallbackOptions], list[Observation]]:
        def observed(_: CallbackOptions) -> list[Observation]:
            if not self._is_on:
                return []
            counted = self._counts().items()
            return [
                Observation(counts[spec.name], _attributes(label))
                for label, counts in counted
                if spec.name in counts
            ]

        return observed

    def _counts(self) -> Mapping[Label, Mapping[str, int]]:
        if monotonic() - self._taken_at > SNAPSHOT_SECONDS:
            self._snapshot, self._taken_at = self._cache.statistics.since_start(), monotonic()
        return self._snapshot

    @contextmanager
    def _load(self, label: Label, key: str) -> Iterator[None]:
        """Around one run of a function. What fails in a provider is logged, and fails no call."""
        attributes, started = _attributes(label), monotonic()
        scope = self._tracer.start_as_current_span(
            f"load {label.function}",
            attributes=self._with_key(attributes, key),
            record_exception=False,
            set_status_on_exception=False,
        )
        span = _quietly(scope.__enter__)
        try:
            yield
        except BaseException as error:
            attributes["error.type"] = type(error).__qualname__
            _quietly(_fail, span, attributes["error.type"])
            raise
        finally:
            if span is not None:
                _quietly(scope.__exit__, None, None, None)
            _quietly(self._durations.record, monotonic() - started, attributes)

    def _called(self, record: CallRecord) -> None:
        """After one call of a cached function."""
        attributes = self._with_key(_attributes(record.label), record.key)
        started_ns = round(1e9 * record.started)
        span = self._tracer.start_span(
            f"cached {record.function}",
            attributes={**attributes, "langcache.outcome": record.outcome},
            start_time=started_ns,
        )
        span.end(started_ns + round(1e9 * record.seconds))

    def _with_key(self, attributes: Attributes, key: str) -> dict[str, Any]:
        return {**attributes, "langcache.key": key} if self._shows_keys else {**attributes}


def _attributes(label: Label) -> Attributes:
    """What a number or span belongs to; what is counted for the whole process belongs to nothing."""
    if label == OUTBOX:
        return {}
    return {
        "langcache.type": label.type,
        "langcache.prefix": label.prefix,
        "langcache.function": label.function,
    }


def _fail(span: Span | None, name: str) -> None:
    if span is not None:
        span.set_attribute("error.type", name)
        span.set_status(Status(StatusCode.ERROR, name))


def _quietly(work: Callable[..., T], *arguments: Any) -> T | None:
    """What ``work`` returns; None, with a log line, if it raises."""
    try:
        return work(*arguments)
    except Exception:  # of a span processor, a sampler or an exporter
        logger.exception("a span or a metric failed")
        return None


def _nothing() -> None:
    """Nothing is to be ended."""
