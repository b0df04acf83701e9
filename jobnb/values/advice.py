"""Why a value can't be stored, and what its author can return instead."""

from __future__ import annotations

import io
import types

from jobnb.values.tags import type_name

TO_FILE = "write it to a file and return the path"
_BY_TYPE: dict[type, str] = {
    types.GeneratorType: "return list(...) of it",
    types.AsyncGeneratorType: "return [item async for item in ...]",
    types.CoroutineType: "await it and return what it gives",
    types.ModuleType: "return its name",
    types.FunctionType: "return what it gives, or its name",
    types.BuiltinFunctionType: "return what it gives, or its name",
    types.MethodType: "return what it gives, or its name",
    type: "return its name, or an instance of it",
    io.IOBase: "return its path",
    memoryview: TO_FILE,
    BaseException: "return str(...) of it, or raise it",
}
_BY_NAME = {
    "pandas.DataFrame": "save it with to_parquet(path) and return the path, or return a few numbers of it",
    "pandas.Series": "return .to_dict() or .tolist() of it, or write it to a file and return the path",
    "pandas.Index": "return .tolist() of it",
    "polars.DataFrame": "save it with write_parquet(path) and return the path, or return a few numbers of it",
    "polars.Series": "return .to_list() of it, or write it to a file and return the path",
    "pyarrow.Table": "save it with pyarrow.parquet.write_table and return the path",
    "matplotlib.Figure": "save it with savefig(path) and return the path",
    "matplotlib.Artist": "save its figure with savefig(path) and return the path",
    "sklearn.BaseEstimator": "save it with joblib.dump(model, path) and return the path",
    "torch.Tensor": "return .tolist() of it, or save it with torch.save and return the path",
    "torch.Module": "save its state_dict() with torch.save and return the path",
}
_ITERATOR = "return list(...) of it"
_OTHER = f"return numbers, text, lists or dicts, or {TO_FILE}"


def why_not(value: object) -> str:
    """Say in one line that a value of this kind can't be stored, and what to return instead."""
    kind = type(value)
    return f"{_called(kind)} can't be stored; {_advice(kind)}"


def _called(kind: type) -> str:
    name = type_name(kind).removeprefix("builtins.")
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _advice(kind: type) -> str:
    for base in kind.__mro__:
        name = type_name(base)
        found = _BY_TYPE.get(base) or _BY_NAME.get(f"{name.partition('.')[0]}.{name.rpartition('.')[2]}")
        if found:
            return found
    return _ITERATOR if hasattr(kind, "__next__") else _OTHER
