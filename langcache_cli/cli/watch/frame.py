"""One frame: the overview as lines that fit the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from langcache_cli.cli.output import percent, visible
from langcache_cli.cli.redis_failures import LOCAL
from langcache_cli.cli.sparkline import sparkline
from langcache_cli.cli.watch.words import duration, latency, short, verdict
from langcache_cli.operations.overview.document import Event, Overview, Summary, TypeSeries
from langcache_cli.readable import number_of, size

View = Literal["types", "functions", "keys", "help"]

KEYS = "q quit  w window  f functions  k keys  space pause  ? help"
HELP = (
    "q      quit",
    "w      the next window: 1 hour, 6 hours, 24 hours, 7 days",
    "f      functions instead of types, and back",
    "k      the keys that are asked for most, and back",
    "space  stop refreshing, and go on",
    "?      this help, and back",
    "",
    "Hit rate: hits of hits and misses. Spared: what the functions behind the cache would have",
    "taken. Numbers are those of all processes; what this command reads is not counted.",
)
NARROW = 72
"""Narrower terminals get no sparkline in the table."""

NARROWEST_WITH_LOADS = 66
"""Narrower ones do not get the latency of loads, either."""

TABLE_SPARK, WIDEST_SPARK = 14, 60
NAME_LEAST, NAME_MOST = 12, 40
BAR = 8
UNITS = {
    "warm": ("entry", "entries"),
    "outage": ("call without it", "calls without it"),
    "overflow": ("invalidation", "invalidations"),
    "start": ("process", "processes"),
}
LOW_HIT_RATE = 0.6
DAY = 86400


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame is drawn for.

    Attributes:
        width: Columns of the terminal.
        height: Its lines.
        unicode: False where only ASCII can be shown.
        view: What the table shows.
        paused: No further frame comes by itself.
    """

    width: int
    height: int
    unicode: bool
    view: View
    paused: bool


def frame(latest: Overview, known: Overview | None, look: Look) -> list[Text]:
    """The lines of a frame, at most as many as fit.

    Args:
        latest: What was collected last.
        known: The latest overview with numbers, shown paler while Redis is away; None for none yet.
        look: What it is drawn for.
    """
    lines = [_bar(latest, look)]
    if "total" not in latest:
        lines.append(Text(visible(latest["error"]), style="bold red"))
        if known is not None:
            since = time.strftime("%H:%M:%S", time.localtime(known["now"]))
            lines.append(Text(f"The numbers of {since}:"))
        elif latest["status"] == "unreachable":
            is_local = latest["target"].partition("://")[2].removeprefix("***@").startswith(LOCAL)
            start = "langcache redis start | " if is_local else ""
            lines.append(Text(f"langcache redis status | {start}langcache doctor"))
    else:
        known = latest
    if look.view == "help":
        lines += [Text(""), *map(Text, HELP)]
    elif known is not None:
        body = list(_body(known, look, look.height - len(lines) - 1))
        if known is not latest:
            for line in body:
                line.stylize("dim")
        lines += body
    lines = lines[: look.height - 1]
    lines += [Text("")] * (look.height - 1 - len(lines))
    lines.append(Text(KEYS, style="dim"))
    for line in lines:
        line.truncate(look.width, overflow="ellipsis" if look.unicode else "crop")
    return lines


def history_lines(overview: Overview, *, width: int, unicode: bool) -> Iterator[str]:
    """The verdict, the course of the whole, and the types, without colours."""
    look = Look(width, 0, unicode, "types", paused=False)
    yield verdict(overview)
    for finding in overview["findings"]:
        yield f"! {visible(finding['title'])}"
    for text in (Text(""), *_sparklines(overview, look), Text(""), *_table(overview, look)):
        yield text.plain.rstrip()


def _bar(latest: Overview, look: Look) -> Text:
    state, style = ("live", "green") if "total" in latest else ("no answer", "red")
    if look.paused:
        state, style = "paused", "yellow"
    dot = "●" if look.unicode else "*"
    right = f"{latest['window']}  {time.strftime('%H:%M:%S', time.localtime(latest['now']))} "
    left = f"langcache {latest['target']} {latest['namespace']} {latest['env']}"
    room = look.width - len(right) - len(f"{dot} {state}") - 1
    text = Text(left[:room].ljust(room + 1), style="bold")
    text.append(right, style="not bold")
    text.append(f"{dot} {state}", style=style)
    return text


def _body(overview: Overview, look: Look, room: int) -> Iterator[Text]:
    yield Text(verdict(overview), style="bold")
    findings = overview["findings"][:2]
    for finding in findings:
        yield Text(f"! {visible(finding['title'])}", style="red" if finding["level"] == "bad" else "yellow")
    yield Text("")
    yield from _sparklines(overview, look)
    yield Text("")
    left = room - len(findings) - 7
    bottom = [_server(overview, look), *(_event(event, overview["now"]) for event in overview["events"])]
    table = list(_table(overview, look))
    kept = table[: max(left - 2, 2)]
    yield from kept
    if len(table) > len(kept):
        yield Text(f"  {len(table) - len(kept)} more", style="dim")
        left -= 1
    yield Text("")
    yield from bottom[: max(left - len(kept) - 1, 1)]


def _sparklines(overview: Overview, look: Look) -> Iterator[Text]:
    series, step = overview["series"], overview["step_seconds"]
    every = list(series["types"].values())
    hits, misses, bypassed, joined = (
        _summed(every, name, len(series["at"])) for name in ("hits", "misses", "bypassed", "joined")
    )
    rates = [hit / (hit + miss) if hit + miss else None for hit, miss in zip(hits, misses, strict=True)]
    minutes = [min(step, max(overview["now"] - at, 10.0)) / 60 for at in series["at"]]
    calls = [sum(of) / long for *of, long in zip(hits, misses, bypassed, minutes, strict=True)]
    loads = [(miss - wait) / long for miss, wait, long in zip(misses, joined, minutes, strict=True)]
    width = max(look.width - 29, 10)
    for name, values, high, now in (
        ("Hit rate", rates, 1.0, f"{percent(rates[-1])} now"),
        ("Calls", calls, None, f"{short(calls[-1])} a min"),
        ("Loads", loads, None, f"{short(loads[-1])} a min"),
    ):
        drawn = sparkline(values, width=width, unicode=look.unicode, low=0.0, high=high)
        yield Text.assemble(f"{name:<10}", (drawn, "cyan"), f"  {now:>14}")


def _summed(every: Sequence[TypeSeries], name: str, steps: int) -> list[int]:
    columns: list[list[int]] = [of_type[name] for of_type in every]  # type: ignore[literal-required] # one of its names
    return [sum(column[place] for column in columns) for place in range(steps)]


def _table(overview: Overview, look: Look) -> Iterator[Text]:
    if look.view == "keys":
        yield from _hot(overview)
        return
    columns = _Columns(look)
    yield columns.heading()
    if look.view == "types":
        for name, one in overview["types"].items():
            rates = _rates(overview["series"]["types"].get(name), columns.spark, look)
            text = columns.row(name, one, rates)
            about = "~" if one["keys_error"] else ""
            text.append(f" {about + short(one['keys']):>6} {size(one['bytes']):>8}")
            yield text
        return
    found = [function for one in overview["types"].values() for function in one["functions"]]
    for function in sorted(found, key=lambda one: -one["calls"]):
        yield columns.row(function["name"], function, "")


class _Columns:
    """The widths of the table's columns: where there is little room, some are left out."""

    def __init__(self, look: Look) -> None:
        has_spark = look.width >= NARROW and look.view == "types"
        self.spark = (
            min(max(look.width - NARROWEST_WITH_LOADS, TABLE_SPARK), WIDEST_SPARK) if has_spark else 0
        )
        self._loads = look.width >= NARROWEST_WITH_LOADS
        self._keys = f" {'Keys':>6} {'Memory':>8}" if look.view == "types" else ""
        self._first = "Type" if look.view == "types" else "Function"
        others = len(self._numbers("", "", "", "", "")) + len(self._keys) + 1
        self._name = min(max(look.width - others, NAME_LEAST), NAME_MOST)

    def heading(self) -> Text:
        numbers = self._numbers("Calls", "Hit rate", "", "Hit p95", "Load p95")
        return Text(f"{self._first:<{self._name}} {numbers}{self._keys}", style="bold")

    def row(self, name: str, one: Summary, rates: str) -> Text:
        rate = percent(one["hit_ratio"])
        hit, load = latency(one["hit_p95_ms"]), latency(one["load_p95_ms"])
        numbers = self._numbers(short(one["calls"]), rate, rates, hit, load)
        text = Text(f"{visible(name)[: self._name]:<{self._name}} {numbers}")
        if one["hit_ratio"] is not None and one["hit_ratio"] < LOW_HIT_RATE:
            text.highlight_words([rate], style="yellow")
        if rates:
            text.highlight_words([rates], style="cyan")
        return text

    def _numbers(self, calls: str, rate: str, rates: str, hit: str, load: str) -> str:
        spark = f"{rates:<{self.spark}} " if self.spark else ""
        return f"{calls:>7} {rate:>8} {spark}{hit:>8}" + (f" {load:>8}" if self._loads else "")


def _rates(series: TypeSeries | None, width: int, look: Look) -> str:
    if series is None or not width:
        return ""
    pairs = zip(series["hits"], series["misses"], strict=True)
    rates = [hits / (hits + misses) if hits + misses else None for hits, misses in pairs]
    return sparkline(rates, width=width, unicode=look.unicode, low=0.0, high=1.0)


def _hot(overview: Overview) -> Iterator[Text]:
    yield Text(f"{'Calls':>7}  Key", style="bold")
    if not overview["hot"]:
        yield Text(visible(overview["hot_problem"]) or "No key stands out.")
    for key in overview["hot"]:
        yield Text(f"{short(key['calls']):>7}  {visible(key['key'])}")


def _server(overview: Overview, look: Look) -> Text:
    server = overview["server"]
    used, limit = server["used_memory_bytes"], server["max_memory_bytes"]
    full, empty = ("█", "░") if look.unicode else ("#", ".")
    cells = min(round(BAR * used / limit), BAR) if limit else 0
    bar = f"{full * cells}{empty * (BAR - cells)} " if limit else ""
    of_limit = f" of {size(limit)}" if limit else ", no limit"
    return Text(
        f"Memory {bar}{size(used)}{of_limit}, {server['evicted_keys']:,} evicted, "
        f"{number_of(server['connected_clients'], 'client')}, {server['product']} {server['version']}"
    )


def _event(event: Event, now: float) -> Text:
    at = time.strftime("%H:%M" if now - event["at"] < DAY else "%a %H:%M", time.localtime(event["at"]))
    what = f"{at} {event['what']} {visible(event['target'])}"
    one, several = UNITS.get(event["what"], ("key", "keys"))
    many = f": {number_of(event['count'], one, several)}" if event["count"] else ""
    took = f" in {duration(event['seconds'])}" if event["seconds"] >= 1 else ""
    by = f", {visible(event['by'])}" if event["by"] else ""
    return Text(f"{what}{many}{took}{by}")
