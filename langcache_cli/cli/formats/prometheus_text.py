"""The text format of Prometheus, for the textfile collector of node_exporter. No timestamps.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/. Written here because
``prometheus_client`` comes with an extra of this package only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Family:
    """All samples of one metric.

    Attributes:
        name: With its unit, as Prometheus' guidelines want it.
        meaning: The help text, one sentence.
        kind: ``counter`` for what only grows, else ``gauge``.
        samples: Labels and values.
    """

    name: str
    meaning: str
    kind: Literal["gauge", "counter"] = "gauge"
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float | None, labels: Mapping[str, str]) -> None:
        """Add a sample; a value that is not known has none."""
        if value is not None:
            self.samples.append((labels, value))


def exposition(families: Iterable[Family]) -> str:
    """The text; a metric without a sample is left out."""
    lines = list[str]()
    for family in families:
        if family.samples:
            lines.append(f"# HELP {family.name} {_escaped(family.meaning)}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines += [f"{family.name}{_labels(labels)} {value!r}" for labels, value in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(
        f'{name}="{_escaped(value).replace(chr(34), chr(92) + chr(34))}"' for name, value in labels.items()
    )
    return f"{{{written}}}" if written else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
