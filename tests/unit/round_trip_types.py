"""Types with everything that decides whether a round trip can be proven: constraints, hooks, defaults."""

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar
from uuid import UUID

import annotated_types
import pydantic

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    id: int
    text: str
    note: str | None = None
    common: bool = False
    score: float = 0.0


@dataclasses.dataclass
class Page:
    words: list[Word]
    following: Optional["Word"]
    tags: list[list[str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Normalised:
    text: str

    def __post_init__(self) -> None:
        self.text = self.text.strip()


@dataclasses.dataclass
class Checked:
    text: Annotated[str, pydantic.AfterValidator(str.upper)]


@dataclasses.dataclass
class Described:
    text: str = pydantic.Field(alias="other", default="x")


@dataclasses.dataclass
class Configured:
    __pydantic_config__ = pydantic.ConfigDict(str_strip_whitespace=True)
    text: str


@pydantic.dataclasses.dataclass
class OfPydantic:
    text: str


@dataclasses.dataclass
class Hidden:
    _text: str


@dataclasses.dataclass
class Partly:
    text: str = dataclasses.field(init=False, default="a")


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


@dataclasses.dataclass
class Chain:
    following: Optional["Chain"]


class Model(pydantic.BaseModel):
    text: str


@dataclasses.dataclass
class Subclass(Page):
    extra: int = 0


class Level(enum.Enum):
    A1 = "a1"
    B1 = "b1"


class Name(str, enum.Enum):  # noqa: UP042 - equal to a string, as StrEnum is
    A = "a"


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Mixed(enum.Enum):
    ONE = 1
    TEXT = "1"


class Rich(pydantic.BaseModel):
    id: int
    level: Level = Level.A1
    name: str = "x"
    count: int | None = None
    parts: list[Model] = []
    pairs: dict[str, tuple[int, str]] = {}
    made: dt.datetime | None = None
    day: dt.date | None = None
    uid: UUID | None = None
    price: Decimal | None = None
    anything: Any = None
    kind: Literal["a", "b"] = "a"
    either: int | str | Model | None = None


class WithValidator(pydantic.BaseModel):
    text: str

    @pydantic.field_validator("text")
    @classmethod
    def _strip(cls, text: str) -> str:
        return text.strip()


class WithModelValidator(pydantic.BaseModel):
    text: str

    @pydantic.model_validator(mode="after")
    def _check(self) -> Any:
        return self


class WithSerializer(pydantic.BaseModel):
    text: str

    @pydantic.field_serializer("text")
    def _write(self, text: str) -> str:
        return text.upper()


class WithPrivate(pydantic.BaseModel):
    text: str
    _note: str = "a"


class WithExtra(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: str


class Stripping(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(str_strip_whitespace=True)
    text: str


class Excluding(pydantic.BaseModel):
    text: str = pydantic.Field("a", exclude=True)


class Bounded(pydantic.BaseModel):
    text: str = pydantic.Field(max_length=3)


class Patterned(pydantic.BaseModel):
    text: str = pydantic.Field(pattern="a+")


class Constrained(pydantic.BaseModel):
    id: int = pydantic.Field(gt=0, le=10)
    text: str | None = pydantic.Field(None, min_length=1, max_length=3)
    items: list[Annotated[int, pydantic.Field(ge=-1)]] = pydantic.Field([], max_length=2)
    ratio: Annotated[float, annotated_types.Lt(2)] = 0.5
    data: bytes = b""
    inner: Model | None = pydantic.Field(None, description="nothing to check")


@dataclasses.dataclass
class Sets:
    numbers: set[int]
    texts: frozenset[str]
    by_id: dict[int, Level]
    by_uid: dict[UUID, list[int | None]]
    by_day: dict[dt.date, bool]
    data: bytes = b""


class PostInit(pydantic.BaseModel):
    text: str

    def model_post_init(self, _context: Any) -> None:
        self.text = self.text.strip()


class OwnInit(pydantic.BaseModel):
    text: str

    def __init__(self, **data: Any) -> None:
        super().__init__(**{**data, "text": "own"})


class OwnSchema(pydantic.BaseModel):
    text: str

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(source)


class Inherited(Stripping):
    more: int = 0


class Numbers(pydantic.RootModel[list[int]]): ...


CUSTOMISED_MODELS = (
    *(WithValidator, WithModelValidator, WithSerializer, WithPrivate, WithExtra, Stripping, Excluding),
    *(Patterned, PostInit, OwnInit, OwnSchema, Inherited, Numbers, pydantic.BaseModel),
)
