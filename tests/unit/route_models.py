"""Pairs of response models that differ in how values become JSON; run as a program, prints their digests."""

import datetime as dt
import enum
import functools
import operator
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    computed_field,
    create_model,
)

from langcache_cli.routes.model_shape import digest_of_model


class Level(enum.Enum):
    A1 = operator.itemgetter(0)  # whose repr has an address
    B1 = "b1"


def upper(text: str) -> str:
    return text.upper()


def named(name: str, **options: Any) -> Any:
    return create_model("Named", **{name: (str, Field("", **options))})


def choice(**options: Any) -> Any:
    class One(BaseModel):
        v: Literal[1] = 1
        mail: str = Field("", **options)

    class Two(BaseModel):
        v: Literal[2] = 2

    return Annotated[One | Two, Field(discriminator="v")]


def deferred(**options: Any) -> Any:
    class Deferred(BaseModel):
        model_config = ConfigDict(defer_build=True)
        mail: str = Field("", **options)

    return Deferred


def cut(length: int) -> Any:
    return Annotated[str, PlainSerializer(lambda text: text[:length])]


def cut_by_default(length: int) -> Any:
    return Annotated[str, PlainSerializer(lambda text, length=length: text[:length])]


def computed(factor: int) -> Any:
    class Computed(BaseModel):
        first: int = 1

        @computed_field  # type: ignore[prop-decorator]
        @functools.cached_property
        def second(self) -> int:
            return factor * self.first

    return Computed


def default(value: Any) -> Any:
    return create_model("Default", field=(type(value), value))


def config(**options: Any) -> Any:
    return create_model("Config", __config__=ConfigDict(**options), number=(float, 0.0))


PAIRS: dict[str, tuple[Any, Any]] = {
    "metadata": (named("metadata"), named("metadata", exclude=True)),
    "ref": (named("ref"), named("ref", exclude=True)),
    "type": (named("type"), named("type", serialization_alias="kind")),
    "choice": (choice(), choice(exclude=True)),
    "deferred": (deferred(), deferred(exclude=True)),
    "closure": (list[cut(9)], list[cut(1)]),  # type: ignore[misc]
    "default argument": (cut_by_default(9), cut_by_default(1)),
    "computed": (computed(1), computed(2)),
    "date": (default(dt.date(2026, 1, 1)), default(dt.date(2026, 1, 2))),
    "decimal": (default(Decimal(1)), default(Decimal(2))),
    "config": (config(ser_json_inf_nan="null"), config(ser_json_inf_nan="strings")),
    "partial": (
        Annotated[str, AfterValidator(functools.partial(operator.mod, "a%s"))],
        Annotated[str, AfterValidator(functools.partial(operator.mod, "b%s"))],
    ),
    "validator of a field": (
        create_model("Price", ref=(Annotated[str, AfterValidator(upper)], "r")),
        create_model("Price", ref=(Annotated[str, AfterValidator(str.lower)], "r")),
    ),
    "enum": (list[Level], set[Level]),
    "sets": (list[Literal["a", "b", "c", "d"]], frozenset[Literal["a", "b", "c", "d"]]),
}

if __name__ == "__main__":
    for _name, _pair in PAIRS.items():
        sys.stdout.write(" ".join((_name, *map(digest_of_model, _pair))) + "\n")
