"""What a job returns must come back from a real jsonb column as it was, or say why it does not."""

from __future__ import annotations

import array
import collections
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import enum
import functools
import io
import itertools
import json
import math
import pathlib
import subprocess
import sys
import threading
import time
import timeit
import types
import uuid
import zoneinfo
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import psycopg
import pydantic
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from waiting import in_time

from jobnb.errors import InvalidInput
from jobnb.values import Encoded, NotStored, Stored, decode, encode, encode_fields, preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RAN: list[str] = []  # what user code ran, for the tests that say none may


class Colour(enum.Enum):
    RED = (1, 2)
    BLUE = "b"


class Level(enum.StrEnum):
    LOW = "low"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Rank(enum.IntEnum):
    FIRST = 1


class Point(NamedTuple):
    x: float
    y: Any = None


@dataclasses.dataclass
class Run:
    name: str
    scores: list[float] = dataclasses.field(default_factory=list)
    best: Any = None

    def __post_init__(self) -> None:
        RAN.append("Run.__post_init__")


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    zeta: int
    a: int


@dataclasses.dataclass(frozen=True)
class LoudKey:
    n: int

    def __hash__(self) -> int:
        RAN.append("LoudKey.__hash__")
        return self.n


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    loss: float = math.nan
    when: dt.date = dt.date(2026, 1, 1)
    made: list[int] = pydantic.Field(default_factory=lambda: RAN.append("default_factory") or [1])

    def model_post_init(self, context: Any, /) -> None:
        RAN.append("Model.model_post_init")


def loud(method: Any) -> Any:
    @functools.wraps(method)
    def wrapper(*args: Any) -> Any:
        RAN.append(method.__name__)
        return method(*args)

    return wrapper


@dataclasses.dataclass(frozen=True)
class WrappedHash:
    n: int


WrappedHash.__hash__ = loud(WrappedHash.__hash__)  # type: ignore[method-assign]


@dataclasses.dataclass(frozen=True)
class PartialHash:
    n: int

    def _hash(self) -> int:
        RAN.append("PartialHash._hash")
        return self.n

    __hash__ = functools.partialmethod(_hash)  # type: ignore[assignment]


class WatchedType(type):
    def __getattribute__(cls, name: str) -> Any:
        RAN.append(name)
        return super().__getattribute__(name)


class WatchedEnumType(WatchedType, enum.EnumType):
    pass


class WatchedModelType(WatchedType, type(pydantic.BaseModel)):  # type: ignore[misc]
    pass


@dataclasses.dataclass
class Watched(metaclass=WatchedType):
    x: int


class WatchedColour(enum.Enum, metaclass=WatchedEnumType):
    RED = 1


class WatchedModel(pydantic.BaseModel, metaclass=WatchedModelType):
    x: int


class Proxy:
    @property
    def __class__(self) -> type:
        RAN.append("Proxy.__class__")
        return type


PROXY = Proxy()


class Wide(NamedTuple):
    long_name: int
    x: int


class Hidden(pydantic.BaseModel):
    x: int
    _seen: Any = pydantic.PrivateAttr(None)
    _lock: Any = pydantic.PrivateAttr(None)


@dataclasses.dataclass
class ListWithFields(list[Any]):
    x: int


class Account(pydantic.BaseModel):
    user: str
    password: pydantic.SecretStr


class Outer:
    class Inner(enum.Enum):
        ONE = 1


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
EXACT: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53,
    -(2**53),
    2**53 + 1,
    2**63,
    -(2**64),
    10**5000,
    0.93,
    3.0,
    1e-05,
    -0.0,
    1e16,
    1e308,
    5e-324,
    1.7976931348623157e308,
    9007199254740993.0,
    1234567890123456.7,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "text",
    "Größe 数据 😀",
    "\\u0000 is only text",
    '"\n\r\t\x01\x7f\u2028',
    b"",
    b"\x00\xff",
    bytearray(b"ab"),
    dt.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
    dt.datetime(2026, 10, 25, 2, 30, fold=1),  # noqa: DTZ001
    dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5, minutes=-30, seconds=7))),
    dt.datetime.max,  # noqa: DTZ901
    dt.date(9999, 12, 31),
    dt.time(1, 2, 3, 4),
    dt.time(1, tzinfo=BERLIN),
    dt.time(1, tzinfo=dt.UTC, fold=1),
    dt.timedelta(days=-1, microseconds=1),
    dt.timedelta.max,
    Decimal("1.10"),
    Decimal("NaN"),
    Decimal("sNaN12"),
    Decimal("-Infinity"),
    Decimal("-0E+999999"),
    Fraction(1, 3),
    Fraction(10**30, 7),
    uuid.UUID(int=1),
    pathlib.Path("/tmp/a b"),
    pathlib.PurePosixPath("a"),
    pathlib.PureWindowsPath("C:\\x"),
    1j,
    complex(-0.0, math.inf),
    (),
    (1, (2, [3])),
    [],
    [1, [2.5, None, "x"]],
    {1, 2, "a", (1, 2)},
    frozenset({1.5, None}),
    set(),
    {},
    {"bb": 1, "a": 2},
    {"a": {"zz": 1, "y": {"éé": 1, "zzz": 2, "é": 3}}, "b": [{"dd": 1, "c": 2}]},
    {"$t": "int", "hex": "1"},
    {"x": {"$t": 1, "b": {"zz": 1, "a": 2}}},
    {1: "a", "1": "b", None: 3, (1, 2): 4},
    {"a\x00": 1, "a\ufffd": 2, "b\ud800": 3},
    {"result": 1},
    range(3),
    range(10**30, 5, -(10**20)),
    Colour.RED,
    Colour.BLUE,
    Level.LOW,
    Rank.FIRST,
    Access.READ | Access.WRITE,
    Access(0),
    Outer.Inner.ONE,
    {Level.LOW: 1, Colour.RED: 2},
    Point(1, math.nan),
    Point(1.5, (Point(2), [Colour.RED])),
    Slotted(1, 2),
    {Slotted(1, 2): {Point(1)}},
    pd.NaT,
    pd.NA,
    pd.Timestamp("2026-01-01", tz="Europe/Berlin"),
    pd.Timestamp("2026-10-25 02:30").tz_localize("Europe/Berlin", ambiguous=False),
    pd.Timestamp("2026-01-01T00:00:00.000000001"),
    pd.Timestamp("0001-01-01").as_unit("s"),
    pd.Timestamp.max,
    pd.Timedelta("1D"),
    pd.Timedelta(-1, "ns"),
    pathlib.Path("not utf-8 \udcff"),
    {"\ud83d\ude00": 1, "😀": 2, "\x00": 3, "\ufffd": 4},
    np.float64(0.93),
    np.float64(-0.0),
    np.float64("nan"),
    np.float64(1e300),
    np.float32(0.1),
    np.float16("inf"),
    np.bool_(True),
    np.int8(-128),
    np.uint64(2**64 - 1),
    np.int64(-(2**63)),
    np.complex64(1 + 2j),
    np.complex128(complex(-0.0, math.nan)),
    np.str_("Größe"),
    np.bytes_(b"\x00"),
    {"zz": np.float32(0.1), "a": [np.int64(3), 3, np.int64(4), True, np.True_], "b": (np.str_("x"), "x")},
    [np.float64(n) for n in range(1000)],
    {np.int16(1): {np.float64(1.5)}, (np.int8(2), "x"): np.int8(3)},
    Run("a", [np.float64(0.5), 0.5], {"zz": np.float32(1e-10), "a": {"y": np.uint8(1), "é": 1}}),
    np.array([np.float32(1), 1, np.int8(1)], dtype=object),
    {"$t": np.int64(1), "result": np.int64(2)},
    np.datetime64("2026-01-01T00:00:00.000000001"),
    np.datetime64("NaT"),
    np.timedelta64(5, "ns"),
    np.longdouble("0.1"),
    np.array(5),
    np.arange(6).reshape(2, 3),
    np.zeros((0, 3)),
    np.array([0.1, math.nan, -0.0, 1e300]),
    np.arange(10_000, dtype="f8") / 3,
    np.arange(5, dtype=">i2"),
    np.array([1, 2], dtype="u8") + np.uint64(2**63),
    np.array([0.1], dtype="f2"),
    np.array([True, False]),
    np.array([1j, 2]),
    np.array(["a", "数\x00据"]),
    np.array([b"a\x00b"]),
    np.array(["2026-01-01", "NaT"], dtype="M8[D]"),
    np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,))]),
    np.array([1, "a", None, [1, 2], {"k": (1,)}], dtype=object),
    np.ma.MaskedArray([1, 2, 3], mask=[0, 1, 0]),
    np.ma.MaskedArray([1, 2], mask=[0, 1], fill_value=7),
    np.ma.MaskedArray([1.0, 2.0]),
    np.ma.zeros(2, [("a", "i4"), ("b", "f8")]),
    np.ma.masked,
    np.zeros(2, dtype=[("größe", "<i4")]),
    np.array({"a": (1,)}, dtype=object),
    np.empty((0, 2), dtype=object),
    np.zeros(2, "V5"),
    np.array([1], "m8"),
    np.array(["a", None], dtype=np.dtypes.StringDType(na_object=None)),
]


def same(left: Any, right: Any) -> bool:
    """Equal in type, value, sign of zero, NaN, order of keys, zone and fold, all the way down."""
    if type(left) is not type(right):
        return False
    compare = _SAME.get(type(left))
    if compare is not None:
        return compare(left, right)
    if isinstance(left, np.floating) and np.isnan(left):
        return bool(np.isnan(right))  # which of the NaNs is not kept, as with Python's own
    if isinstance(left, np.generic):
        return same(np.asarray(left), np.asarray(right))
    if dataclasses.is_dataclass(left):
        return same(*({f.name: getattr(x, f.name) for f in dataclasses.fields(x)} for x in (left, right)))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left is right or bool(left == right) or repr(left) == repr(right)


def _same_dict(left: Any, right: Any) -> bool:
    return same(list(left.items()), list(right.items()))


def _same_set(left: Any, right: Any) -> bool:
    """A NaN or NaT is in no other set, so members are compared one by one."""
    return len(left) == len(right) and all(any(same(one, other) for other in right) for one in left)


def _same_list(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(map(same, left, right))


def _same_time(left: Any, right: Any) -> bool:
    if getattr(left, "unit", None) != getattr(right, "unit", None):
        return False
    return (repr(left), left.fold, str(left.tzinfo)) == (repr(right), right.fold, str(right.tzinfo))


def _same_array(left: Any, right: Any) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return same(left.tolist(), right.tolist()) if left.dtype.hasobject else left.tobytes() == right.tobytes()


def _same_masked(left: Any, right: Any) -> bool:
    masks = _same_array(np.asarray(left.mask), np.asarray(right.mask))
    return masks and _same_array(left.data, right.data) and bool(left.fill_value == right.fill_value)


_SAME: dict[type, Callable[[Any, Any], bool]] = {
    float: lambda left, right: repr(left) == repr(right),
    complex: lambda left, right: repr(left) == repr(right),
    Decimal: lambda left, right: repr(left) == repr(right),
    dict: _same_dict,
    list: _same_list,
    set: _same_set,
    frozenset: _same_set,
    dt.datetime: _same_time,
    dt.time: _same_time,
    pd.Timestamp: _same_time,
    np.ndarray: _same_array,
    np.ma.MaskedArray: _same_masked,
}


@pytest.fixture
def jsonb(database_url: str) -> Iterator[Callable[[Encoded], tuple[Any, Any]]]:
    """Send what is stored through real jsonb columns; what json.loads makes of it comes back."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE kept (value jsonb, key_order jsonb)")

        def through(encoded: Encoded) -> tuple[Any, Any]:
            connection.execute("TRUNCATE kept")
            connection.execute("INSERT INTO kept VALUES (%s::jsonb, %s::jsonb)", encoded[:2])
            value, order = connection.execute("SELECT value::text, key_order::text FROM kept").fetchone() or ()
            return json.loads(value), None if order is None else json.loads(order)

        yield through


def back(value: object) -> Any:
    encoded = encode(value)
    return decode(json.loads(encoded.json), None if encoded.order is None else json.loads(encoded.order))


def check_strict(encoded: Encoded) -> None:
    assert encoded.json.isascii()
    assert "\n" not in encoded.json
    json.loads(encoded.json, parse_constant=pytest.fail)


def test_every_kind_comes_back_from_jsonb_exactly(jsonb: Any) -> None:
    for value in EXACT:
        encoded = encode(value)
        check_strict(encoded)
        assert encoded.error is None, (value, encoded.error)
        assert not encoded.warnings, (value, encoded.warnings)
        assert same(decode(*jsonb(encoded)), value), (value, encoded)


def test_all_kinds_in_one_structure_come_back_from_jsonb(jsonb: Any) -> None:
    small = [value for value in EXACT if not isinstance(value, np.ndarray) or value.size < 100]
    value = {"zz": small, "a": {"nested": tuple(small)}}
    assert same(decode(*jsonb(encode(value))), value)


TEXTS = st.text(max_size=4) | st.sampled_from(["$t", "v", "items", "result", "", "\\u0000"])
ZONES = (
    st.none() | st.timezones() | st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)))
)
NUMPY_SCALARS = hnp.scalar_dtypes().flatmap(lambda dtype: hnp.arrays(dtype, ()).map(lambda array: array[()]))
DTYPES = hnp.scalar_dtypes() | hnp.array_dtypes(max_size=3) | hnp.unicode_string_dtypes() | hnp.byte_string_dtypes()
LEAVES = st.one_of(
    st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS | NUMPY_SCALARS,
    st.binary(max_size=20) | st.uuids() | st.decimals() | st.fractions() | st.complex_numbers(),
    st.datetimes(timezones=ZONES, allow_imaginary=True) | st.times(timezones=ZONES) | st.dates() | st.timedeltas(),
    hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=3)),
    st.sampled_from(
        [Colour.RED, Level.LOW, Rank.FIRST, Access(0), pd.NaT, 1e400, -0.0, 0.1 + 0.2, 10**4000, 1e16, 5e-324]
    ),
)
HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.dates() | NUMPY_SCALARS | st.just(Colour.RED),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2) | st.builds(Point, inner, inner),
    max_leaves=3,
)


def structures(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(inner, max_size=4)
    return st.one_of(
        items | items.map(tuple) | st.sets(HASHABLE, max_size=3) | st.frozensets(HASHABLE, max_size=3),
        st.dictionaries(TEXTS, inner, max_size=4) | st.dictionaries(HASHABLE, inner, max_size=4),
        st.builds(Point, inner, inner) | st.builds(Run, TEXTS, items, inner) | st.builds(Slotted, inner, inner),
        st.builds(
            lambda kind, body: {"$t": kind, "v": body}, st.sampled_from(["int", "set", "dict", "preview"]), inner
        ),
    )


# without the phase that explains failures: it traces every line, which takes minutes where other tests run beside it
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None, phases=PHASES)
@given(value=st.recursive(LEAVES, structures, max_leaves=20))
def test_random_structures_come_back_from_jsonb_exactly(jsonb: Any, value: Any) -> None:
    encoded = encode(value)
    check_strict(encoded)
    assert encoded.error is None
    wrapped = encoded._replace(json=f'{{"result": {encoded.json}}}')
    if not encoded.warnings:
        assert same(decode(*jsonb(wrapped))["result"], value)
        assert same(back(value), value)


def test_plain_values_stay_plain_for_sql(database_url: str) -> None:
    assert encode({"accuracy": 0.93}).json == '{"accuracy": 0.93}'
    metrics = {"accuracy": np.float64(0.93), "n": np.int64(3), "ok": np.bool_(True), "name": np.str_("x")}
    encoded = encode(metrics)
    assert json.loads(encoded.json) == {"accuracy": 0.93, "n": 3, "ok": True, "name": "x"}
    small = encode({"rate": 1e-05, "loss": np.float32(3e-07)})
    assert json.loads(small.json)["rate"] == 1e-05
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT (%s::jsonb ->> 'accuracy')::float8", (encoded.json,)).fetchone()
        assert row == (0.93,)
        row = connection.execute("SELECT (%s::jsonb ->> 'rate')::float8", (small.json,)).fetchone()
        assert row == (1e-05,)


def test_the_order_is_stored_only_where_jsonb_loses_it() -> None:
    assert encode({"a": 1, "b": 2, "aa": 3}).order is None
    assert encode({"bb": 1, "a": 2}).order == '[["bb", "a"]]'
    assert encode([{"a": 1, "b": 1}, {"x": 1}, {"b": (), "a": 1}]).order == '[null, ["b", "a"]]'


def test_wrapping_the_value_does_not_disturb_its_order(jsonb: Any) -> None:
    value = {"bb": {"dd": 1, "c": 2}, "a": 2}
    encoded = encode(value)
    tree, order = jsonb(encoded._replace(json=f'{{"result": {encoded.json}}}'))
    assert same(decode(tree, order), {"result": value})
    assert same(decode(tree["result"], order), value)


def test_an_order_that_no_longer_fits_is_ignored_from_there_on() -> None:
    order = json.loads(encode({"zz": {"d": 1, "c": 2}, "a": {"f": 1, "e": 2}}).order or "")
    edited = {"a": {"e": 2, "f": 1}, "zz": {"c": 2, "x": 1}}
    assert same(decode(edited, order), {"zz": {"c": 2, "x": 1}, "a": {"e": 2, "f": 1}})
    for nonsense in (5, "x", [5], [[1, 2]], [["a", "a"]], [["zz", []]], {"a": 1}, [None, [[]]]):
        assert decode(edited, nonsense) == edited


def test_nul_and_lone_surrogates_are_replaced_with_a_warning(jsonb: Any) -> None:
    encoded = encode({"k\x00": "a\x00b", "s": "\ud800x", "pair": "\ud83d\ude00"})
    assert decode(*jsonb(encoded)) == {"k\ufffd": "a\ufffdb", "s": "\ufffdx", "pair": "😀"}
    assert encoded.error is None
    assert encoded.warnings == (
        "NUL characters were replaced by U+FFFD",
        "lone surrogates were replaced by U+FFFD",
    )


def test_subclasses_and_wrappers_keep_their_value_and_order() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "not this"

    class Whole(int):
        def __int__(self) -> int:
            return 99

    moved = collections.OrderedDict(a=1, b=2)
    moved.move_to_end("a")
    cases: list[tuple[Any, Any]] = [
        (Text("x"), "x"),
        (Whole(3), 3),
        (moved, {"b": 2, "a": 1}),
        (collections.defaultdict(list, zz=[1], a=[2]), {"zz": [1], "a": [2]}),
        (collections.Counter("hello"), {"h": 1, "e": 1, "l": 2, "o": 1}),
        (collections.UserDict(zz=1, a=2), {"zz": 1, "a": 2}),
        (types.MappingProxyType({"zz": 1, "a": 2}), {"zz": 1, "a": 2}),
        (collections.deque([1, 2]), [1, 2]),
        ({"b": 1}.keys(), ["b"]),
    ]
    for value, expected in cases:
        assert encode(value).error is None
        assert same(back(value), expected), value


def test_a_dataclass_comes_back_without_running_its_code() -> None:
    value = Run("a", [math.inf], {"zz": np.arange(3), "a": Colour.RED})
    RAN.clear()
    assert same(back(value), value)
    assert RAN == []


def test_a_model_comes_back_without_running_its_code() -> None:
    value = Model(loss=math.inf, note={"zz": 1, "a": 2})
    RAN.clear()
    again = back(value)
    assert type(again) is Model
    assert again == value
    assert again.model_fields_set == value.model_fields_set
    assert again.model_extra == {"note": {"zz": 1, "a": 2}}
    assert RAN == []


def test_a_users_hash_does_not_run_on_reading() -> None:
    encoded = encode({LoudKey(1): {LoudKey(2), (LoudKey(3), 1)}})
    RAN.clear()
    decoded = decode(json.loads(encoded.json))
    assert [type(key) for key in decoded] == [Stored]
    assert RAN == []


@pytest.mark.parametrize("make", [lambda: WrappedHash(1), lambda: PartialHash(1)])
def test_a_hash_behind_a_wrapper_does_not_run_on_reading(make: Callable[[], Any]) -> None:
    encoded = encode({make()})
    RAN.clear()
    assert [type(member) for member in decode(json.loads(encoded.json))] == [Stored]
    assert RAN == []


def test_a_hash_written_in_python_c_does_not_run_on_reading() -> None:
    code = (
        "import dataclasses, json\n"
        "from jobnb.values import decode, encode\n"
        "ran = []\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Key:\n"
        "    n: int\n"
        "    def __hash__(self): ran.append(1); return self.n\n"
        "text = encode({Key(1)}).json\n"
        "ran.clear()\n"
        "print([type(key).__name__ for key in decode(json.loads(text))], ran)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['Stored'] []"


@pytest.mark.parametrize("make", [lambda: Watched(1), lambda: WatchedColour.RED, lambda: WatchedModel(x=1)])
def test_a_metaclass_does_not_run_on_reading(make: Callable[[], Any]) -> None:
    value = make()
    for structure in (value, {value: 1}) if isinstance(value, enum.Enum) else (value,):
        encoded = encode(structure)
        RAN.clear()
        decoded = decode(json.loads(encoded.json))
        assert RAN == []
        assert decoded == structure
        assert type(decoded) is type(structure)


def test_a_proxy_in_a_module_is_not_asked_for_its_class_on_reading() -> None:
    tag = {"$t": "dataclass", "module": __name__, "class": "PROXY", "fields": {}}
    RAN.clear()
    assert isinstance(decode(tag), Stored)
    assert RAN == []


def test_a_named_tuple_comes_back_when_its_order_is_lost() -> None:
    tree = json.loads(encode(Wide(long_name=1, x=2)).json)
    tree["fields"] = {"x": 2, "long_name": 1}  # as jsonb gives it
    assert same(decode(tree), Wide(long_name=1, x=2))


def test_private_attributes_of_a_model_come_back_where_they_can_be_stored() -> None:
    value = Hidden(x=1)
    value._seen = {"zz": (1,), "a": 2}
    assert back(value) == value
    value._lock = threading.Lock()
    encoded = encode(value)
    assert encoded.error is None
    assert encoded.warnings == ("private attributes that can't be stored were dropped",)
    assert back(value)._seen == {"zz": (1,), "a": 2}


def test_a_dataclass_that_is_also_a_container_is_not_stored_by_half() -> None:
    value = ListWithFields(1)
    value.append("would be lost")
    encoded = encode(value)
    assert encoded.error is not None
    assert "both fields and the content of list" in encoded.error
    assert isinstance(decode(json.loads(encoded.json)), NotStored)


def test_a_fraction_of_text_is_not_computed() -> None:
    tag = {"$t": "fraction", "v": ["1e999999999"]}
    assert decode(tag) == tag  # computing it would end in the timeout


def test_nothing_is_imported_and_nothing_is_called_on_reading() -> None:
    for module, name in (("antigravity", "x"), ("os", "system"), ("builtins", "dict"), ("__main__", "nope")):
        for kind in ("enum", "dataclass", "namedtuple", "pydantic"):
            tag = {"$t": kind, "module": module, "class": name, "fields": {"name": "x", "value": 1}, "set": []}
            assert isinstance(decode(tag), Stored)
    assert "antigravity" not in sys.modules


def test_an_object_of_an_unknown_class_is_a_readable_stand_in() -> None:
    @dataclasses.dataclass
    class Local:
        x: int
        items: list[int]

    stored = back(Local(1, [2]))
    assert (stored.x, stored.items, vars(stored)) == (1, [2], {"x": 1, "items": [2]})
    assert "Local(x=1, items=[2])" in repr(stored)
    assert stored == back(Local(1, [2]))
    assert stored != back(Local(2, [2]))
    assert hash(stored) == hash(back(Local(1, [2])))
    assert back(stored) == stored
    with pytest.raises(AttributeError, match="read-only"):
        stored.x = 5
    with pytest.raises(AttributeError, match="has no 'fit'"):
        stored.fit()


def test_secrets_stay_masked() -> None:
    value = Account(user="u", password=pydantic.SecretStr("hunter2"))
    encoded = encode({"account": value, "bare": pydantic.SecretStr("hunter2")})
    assert "hunter2" not in encoded.json
    assert encoded.warnings == ("secrets were stored masked",)
    assert back(value).password == "**********"
    assert "hunter2" not in preview([value])


def test_a_generator_is_told_about_and_not_consumed() -> None:
    generator = (n for n in range(3))
    encoded = encode({"gen": generator, "ok": 1})
    assert encoded.error == '["gen"]: a generator can\'t be stored; return list(...) of it'
    assert back({"ok": 1, "gen": generator})["ok"] == 1
    assert list(generator) == [0, 1, 2]


def unstorable() -> list[Any]:
    async def coroutine() -> None: ...

    unawaited = coroutine()
    unawaited.close()
    return [
        pd.DataFrame({"a": [1]}),
        pd.Series([1]),
        np.zeros(10_001),
        b"x" * 1025,
        "x" * 300_000,
        1 << 4_000_000,
        threading.Lock(),
        io.StringIO(),
        math,
        lambda: 1,
        len,
        unawaited,
        int,
        ValueError("x"),
        iter([1]),
        object(),
    ]


def test_what_cant_be_stored_is_a_preview_that_says_why(jsonb: Any) -> None:
    for value in unstorable():
        encoded = encode(value)
        check_strict(encoded)
        assert json.loads(encoded.json)["$t"] == "preview"
        assert len(encoded.json) < 20_000
        assert "can't be stored" in (encoded.error or "")
        assert isinstance(decode(*jsonb(encoded)), NotStored)


def test_what_cant_be_stored_inside_a_structure_is_named_by_its_path(jsonb: Any) -> None:
    for value in unstorable():
        encoded = encode({"score": 1, "model": [0, value], "run": Run("a", best=value)})
        decoded = decode(*jsonb(encoded))
        assert decoded["score"] == 1
        assert isinstance(decoded["model"][1], NotStored)
        assert isinstance(decoded["run"].best, NotStored)
        assert (encoded.error or "").startswith('["model"][1]: ')
        assert '["run"].best: ' in (encoded.error or "")


def test_many_parts_that_cant_be_stored_make_one_short_error() -> None:
    encoded = encode([object() for _ in range(1000)])
    assert (encoded.error or "").endswith("; and 997 more")
    assert len(encoded.error or "") < 1000


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_sixty_levels_work_and_five_thousand_are_told_about(jsonb: Any) -> None:
    assert decode(*jsonb(encode(nested(60)))) == nested(60)
    tuples: Any = ()
    for _ in range(59):
        tuples = (tuples, {1: "x"})
    assert decode(*jsonb(encode(tuples))) == tuples
    encoded = encode(nested(5000))
    assert json.loads(encoded.json)["$t"] == "preview"
    assert "nested deeper than 64" in (encoded.error or "")


def test_a_circle_is_told_about_and_shared_parts_are_fine() -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = [circle]
    encoded = encode(circle)
    assert json.loads(encoded.json)["$t"] == "preview"
    assert "circular" in (encoded.error or "")
    shared = [1]
    assert back([shared, shared]) == [[1], [1]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: list(range(10**7)),
        lambda: dict.fromkeys(range(10**6)),
        lambda: {"text": "x" * 10**7, "more": ["y" * 1000] * 1000},
        lambda: ["x" * 1000] * 100_000,
        lambda: "\x01" * 200_000,
        lambda: [[0] * 1000] * 1000,
        lambda: set(range(10**6)),
    ],
)
def test_too_much_is_told_about_at_once(make: Callable[[], Any]) -> None:
    value = make()
    started = time.monotonic()
    encoded = encode(value)
    in_time(started, 1)
    assert json.loads(encoded.json)["$t"] == "preview"
    assert encoded.error is not None
    assert len(encoded.json) < 20_000


def test_a_value_that_changes_while_it_is_stored_harms_nobody() -> None:
    value: dict[str, Any] = {"items": {}}
    stop = threading.Event()

    def change() -> None:
        for n in iter(int, 1):
            value["items"][f"key {n + len(value['items'])}"] = [1]
            if len(value["items"]) > 500:
                value["items"].clear()
            if stop.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            encoded = encode(value)
            check_strict(encoded)
            assert encoded.error is None or "return" in encoded.error
    finally:
        stop.set()
        thread.join()


class Hostile:
    def __init__(self, raising: BaseException) -> None:
        self.raising = raising

    def __repr__(self) -> str:
        raise self.raising


class HostileMeta(type):
    def __hash__(cls) -> int:
        raise RuntimeError("no hash")


class Unhashable(metaclass=HostileMeta):
    pass


class HostileZone(dt.tzinfo):
    def utcoffset(self, moment: dt.datetime | None, /) -> dt.timedelta:
        sys.exit(3)


@dataclasses.dataclass
class Lazy:
    x: int = 1

    def __getattribute__(self, name: str) -> Any:
        if name == "x":
            sys.exit(3)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()]
)
def test_a_repr_that_raises_harms_nobody(error: BaseException) -> None:
    assert type(error).__name__ in preview(Hostile(error))
    assert (encode({"a": 1, "b": Hostile(error)}).error or "").startswith('["b"]: ')


def test_a_repr_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    class Hanging:
        def __repr__(self) -> str:
            release.wait(30)
            return ""

    started = time.monotonic()
    assert "takes too long" in preview(Hanging())
    encoded = encode([Hanging() for _ in range(100)])
    release.set()
    in_time(started, 5)
    assert (encoded.error or "").endswith("and 97 more")


def test_a_value_that_fights_back_never_raises() -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=HostileZone())
    for value in (Unhashable(), moment, Lazy(), Hostile(SystemExit(1))):
        for wrapped in (value, [1, value], {"a": value}):
            encoded = encode(wrapped)
            check_strict(encoded)
            assert encoded.error
        assert isinstance(preview([value]), str)


def test_encoding_survives_a_stack_that_is_nearly_full() -> None:
    def deep(left: int) -> Encoded:
        return deep(left - 1) if left else encode({"a": [[[[[[1, (2,)]]]]]]})

    found = []
    for left in range(sys.getrecursionlimit() - 400, sys.getrecursionlimit(), 5):
        with contextlib.suppress(RecursionError):  # there was no room for the call itself
            found.append(deep(left))
            check_strict(found[-1])
    assert {bool(encoded.error) for encoded in found} == {True, False}, "whole where there is room, a preview where not"


def test_tags_that_make_no_sense_stay_the_dicts_they_are() -> None:
    kinds = ["int", "float", "bytes", "tuple", "set", "dict", "datetime", "time", "timedelta", "decimal", "uuid"]
    kinds += ["path", "range", "complex", "fraction", "str", "ndarray", "npscalar", "masked", "pandas", "enum"]
    kinds += ["dataclass", "namedtuple", "pydantic", "preview", "frozenset", "date", "bytearray", "from 2030"]
    bodies: list[Any] = [{}, {"v": None}, {"v": "x"}, {"v": [[]]}, {"hex": []}, {"b64": "%"}, {"items": [1]}]
    bodies += [{"dtype": "O", "shape": [10**9], "b64": ""}, {"dtype": "<f8", "shape": [10**9], "b64": ""}]
    bodies += [{"module": [], "class": {}, "fields": 1}, {"v": [[1], [1]]}, {"items": [[[], 1]]}]
    right: dict[str, tuple[str, ...]] = {str({"v": [[]]}): ("tuple",), str({"v": [[1], [1]]}): ("tuple",)}
    right |= {str(body): ("bytes", "bytearray", "str") for body in bodies if "shape" in body}
    for kind in [*kinds, None, 5, [], {}]:
        for body in bodies:
            if kind in right.get(str(body), ()):
                continue
            tag = {"$t": kind, **body}
            assert decode([tag]) == [tag], tag


def test_keys_that_would_become_equal_are_not_lost() -> None:
    tag = {"$t": "dict", "items": [[1, "a"], [1, "b"]]}
    assert decode(tag) == tag


def test_an_array_without_numpy_is_lists() -> None:
    trees = [json.loads(encode(value).json) for value in (np.arange(6).reshape(2, 3), np.arange(1200) / 7)]
    code = (
        "import sys, json; sys.modules['numpy'] = None\n"
        "from jobnb.values import decode\n"
        "print(json.dumps([decode(tree) for tree in json.loads(sys.argv[1])]))"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(trees)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[[0, 1, 2], [3, 4, 5]], (np.arange(1200) / 7).tolist()]


def test_values_are_readable_in_another_process(jsonb: Any) -> None:
    tree, order = jsonb(encode({"zz": Colour.RED, "a": (Point(1), {1, 2})}))
    code = "import sys, json\nfrom jobnb.values import decode\nprint(decode(*json.loads(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([tree, order])], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("{'zz': <stored Colour(name='RED', value=(1, 2))>, 'a': (<stored Point(")


def test_importing_the_package_loads_no_big_library() -> None:
    code = "import sys, jobnb.values; print([m for m in ('numpy', 'pandas', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_fields_must_be_a_mapping_with_text_keys() -> None:
    assert encode_fields("result", {"bb": 1, "a": (2,)}).order == '[["bb", "a"]]'
    assert encode_fields("result", types.MappingProxyType({"a": 1})).json == '{"a": 1}'
    for wrong in ([1], None, "text", {1: 2}, {None: 1}, {"a": 1, ("b",): 2}):
        with pytest.raises(InvalidInput, match=r"^result (is|has the key) .*: (give|make)"):
            encode_fields("result", wrong)  # type: ignore[arg-type] # that is the test
    reserved = encode_fields("result", {"$t": "x"})
    assert decode(json.loads(reserved.json)) == {"$t": "x"}
    assert encode_fields("result", {"model": object(), "a": 1}).error is not None


def test_previews_are_short_fast_and_readable() -> None:
    big: list[Any] = ["x" * 10**7, list(range(10**7)), dict.fromkeys(range(10**6)), np.zeros(10**6)]
    big += [collections.OrderedDict.fromkeys(range(10**5)), Run("a", [0.0] * 10**6), 10**100_000, b"x" * 10**7]
    for value in big:
        started = time.monotonic()
        text = preview(value, 200)
        in_time(started, 0.5)
        assert 0 < len(text) <= 200
    assert preview({"a": [1, (2,)], "b": {3}}) == "{'a': [1, (2,)], 'b': {3}}"
    assert preview(Run("a", [1.0])) == "Run(name='a', scores=[1.0], best=None)"
    assert preview(Point(1)) == "Point(x=1, y=None)"
    assert preview(collections.Counter("aa")) == "Counter({'a': 2})"
    assert "\x00" not in preview(type("Nul", (), {"__repr__": lambda self: "\x00\ud800"})())


@pytest.mark.parametrize("value", [None, 3, "text", {"accuracy": 0.9}])
def test_the_common_values_take_microseconds(value: Any) -> None:
    best = min(timeit.repeat(lambda: encode(value), number=2000, repeat=10)) / 2000
    assert best < 20e-6  # about 1 µs here; the bound is for a busy machine


def test_the_types_of_numpy_numbers_stand_beside_plain_numbers() -> None:
    encoded = encode({"accuracy": np.float64(0.93), "n": [np.int64(1), np.int64(2)], "plain": 1.5})
    assert json.loads(encoded.json) == {"accuracy": 0.93, "n": [1, 2], "plain": 1.5}
    assert json.loads(encoded.order or "")["numpy"] == [4, 0, 2, "i8", 1, 1, "f8"]
    assert len(encode([np.float64(n) for n in range(10_000)]).order or "") < 60


def test_wrapping_the_value_does_not_disturb_its_types(jsonb: Any) -> None:
    value = {"result": {"bb": np.int8(1), "a": 2}, "a": 5, "zz": np.float32(0.5)}
    encoded = encode(value)
    tree, kept = jsonb(encoded._replace(json=f'{{"result": {encoded.json}}}'))
    assert same(decode(tree, kept), {"result": value})
    assert same(decode(tree["result"], kept), value)


def test_types_that_no_longer_fit_are_ignored() -> None:
    encoded = encode({"a": np.int8(1), "b": np.float32(0.5), "c": 1})
    tree, kept = json.loads(encoded.json), json.loads(encoded.order or "")
    assert same(decode({**tree, "d": 1}, kept), {**tree, "d": 1})
    for edited in ({"a": 1000, "b": "text", "c": 1}, {"a": 1.5, "b": 0.1, "c": 1}, {"a": None, "b": 1e300, "c": 1}):
        assert same(decode(edited, kept), edited)
    assert same(decode(tree, kept), {"a": np.int8(1), "b": np.float32(0.5), "c": 1})
    for nonsense in (
        5,
        [],
        [3],
        [3, 1],
        [3, 0, 1, "O"],
        [3, 0, 1, 5],
        ["3", 0, 1, "i1"],
        [3, -1, 10**9, "i1"],
        [3, 0, 10**12, "x"],
    ):
        assert same(decode(tree, {"order": None, "numpy": nonsense}), tree), nonsense
        assert same(decode(tree, {"numpy": nonsense, "order": nonsense}), tree), nonsense


def test_numpy_numbers_are_plain_ones_where_there_is_no_numpy() -> None:
    encoded = encode({"a": np.int8(1), "b": [np.float64("nan"), np.uint64(2**63), np.str_("x")]})
    code = (
        "import sys, json; sys.modules['numpy'] = None\n"
        "from jobnb.values import decode\n"
        "print(decode(*map(json.loads, sys.argv[1:])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, encoded.json, encoded.order or ""], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'a': 1, 'b': [nan, 9223372036854775808, 'x']}\n"


def test_attributes_beside_the_fields_of_a_dataclass_come_back_where_they_can_be_stored(jsonb: Any) -> None:
    value = Run("a", [1.0])
    value.note = {"zz": (np.float32(1),), "a": 2}  # type: ignore[attr-defined]
    encoded = encode(value)
    assert (encoded.error, encoded.warnings) == (None, ())
    again = decode(*jsonb(encoded))
    assert same(again, value)
    assert same(vars(again), vars(value))
    value.lock = threading.Lock()  # type: ignore[attr-defined]
    encoded = encode(value)
    assert encoded.error is None
    assert encoded.warnings == ("attributes beside the fields that can't be stored were dropped",)
    assert same(decode(*jsonb(encoded)).note, value.note)  # type: ignore[attr-defined]


def test_attributes_beside_the_content_of_a_container_are_not_dropped_in_silence() -> None:
    class Rows(list[Any]):
        pass

    class Quantity(np.ndarray):
        pass

    rows, quantity = Rows([1]), np.arange(2.0).view(Quantity)
    assert encode([rows, quantity]).warnings == ()
    rows.source, quantity.unit = "a.csv", "m"  # type: ignore[attr-defined]
    encoded = encode([rows, quantity])
    assert encoded.error is None
    assert encoded.warnings == (
        "attributes of Rows beside its content were dropped",
        "attributes of Quantity beside its content were dropped",
    )


class Stubborn(BaseException):
    pass


def stubborn(base: type, error: BaseException) -> Any:
    """An object of a subclass all of whose methods raise."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise error

    names = [
        "eq",
        "repr",
        "str",
        "hash",
        "len",
        "iter",
        "getitem",
        "contains",
        "bool",
        "format",
        "reduce",
        "getattribute",
        "int",
        "index",
        "float",
        "lt",
        "call",
        "bytes",
        "pos",
        "next",
        "getattr",
        "array",
        "dir",
        "sizeof",
    ]
    methods = {f"__{name}__": refuse for name in names}
    methods |= dict.fromkeys(("items", "keys", "values", "isoformat", "tolist", "item"), refuse)
    kind = type("Stubborn", (base,), methods)
    arguments = {dt.datetime: (2026, 1, 1), dt.date: (2026, 1, 1), np.ndarray: ((2,),), array.array: ("i", [1])}
    return base.__new__(kind, *arguments.get(base, ()))


@pytest.mark.parametrize(
    "error",
    [ValueError(), SystemExit(1), StopIteration(), RecursionError(), MemoryError(), GeneratorExit(), Stubborn()],
)
def test_an_object_all_of_whose_methods_raise_leaves_the_job_done(jsonb: Any, error: BaseException) -> None:
    bases = [object, str, int, float, complex, bytes, bytearray, list, tuple, dict, set, frozenset]
    bases += [collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque]
    bases += [dt.datetime, dt.date, dt.timedelta, Decimal, np.ndarray, np.float64, array.array]
    for base in bases:
        value = stubborn(base, error)
        for wrapped in (value, {"a": [value], "b": 1}, Run("a", best=value)):
            encoded = encode(wrapped)
            check_strict(encoded)
            decode(*jsonb(encoded))
            assert preview(wrapped)


def test_running_out_of_memory_leaves_the_job_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> Any:
        raise MemoryError

    module = sys.modules["jobnb.values.encode"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_encode", full)
        encoded = encode([1])
        assert "not enough memory" in (encoded.error or "")
        assert isinstance(decode(json.loads(encoded.json)), NotStored)
    monkeypatch.setattr(module, "preview", full)
    encoded = encode(nested(100))
    assert "nested deeper" in (encoded.error or "")
    assert isinstance(decode(json.loads(encoded.json)), NotStored)


class EndlessMapping(collections.abc.Mapping[Any, Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: Any) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


class EndlessQueue(collections.deque[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.count()


@pytest.mark.parametrize("value", [types.MappingProxyType(EndlessMapping()), EndlessQueue([1])])
def test_an_iteration_that_never_ends_is_not_followed(value: Any) -> None:
    assert "return a copy" in (encode(value).error or "")


class Mixed(str, enum.Enum):  # noqa: UP042 - the older way to write it
    A = "a"


class Dated(dt.date, enum.Enum):
    A = (2026, 1, 1)


class Keeping(enum.Flag, boundary=enum.KEEP):
    A = 1


class Unstorable(enum.Enum):
    A = object()


ODD_NAMES = collections.namedtuple("ODD_NAMES", "count index class a a", rename=True)


def test_odd_enums_and_named_tuples_come_back(jsonb: Any) -> None:
    for value in (Mixed.A, Dated.A, Keeping(9), Unstorable.A, ODD_NAMES(1, 2, 3, 4, 5)):
        encoded = encode(value)
        assert encoded.error is None
        assert same(decode(*jsonb(encoded)), value)


def test_a_named_tuple_whose_names_do_not_stand_for_its_items_keeps_its_items() -> None:
    for names in (("a", "a"), ("a",), (1, 2)):
        value = type("Odd", (tuple,), {"_fields": names})((1, 2))
        assert encode(value).error is None
        assert back(value) == (1, 2)


def test_a_class_with_an_endless_name_makes_a_short_error() -> None:
    encoded = encode([type("B" * 100_000, (), {})()])
    assert len(encoded.json) + len(encoded.error or "") < 2000


def test_many_small_bytes_are_told_about_before_they_fill_the_memory() -> None:
    started = time.monotonic()
    assert "256 KiB" in (encode([b"x" * 1000] * 100_000).error or "")
    in_time(started, 0.5)
