"""Fields of a card, checked against the types that its class declares.

A card is text from a file that anybody may have written: numbers come as text, text with
half characters in it, sizes that would ask for all memory. What passes here is what the class says.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_MAX_TEXT = 10_000
_MAX_ITEMS = 10_000


def conform(values: Mapping[str, Any], card: type) -> dict[str, Any]:
    """The given fields of a card, with lists as tuples and whole numbers as floats where asked.

    Values whose names `card`, a dataclass, does not have are left out.

    Raises:
        ValueError: a field has another type than its class declares, is not finite, or is text
            that cannot be written or is far too long.
    """
    hints = get_type_hints(card)
    known = [field.name for field in fields(card)]
    return {name: _conform(values[name], hints[name], name) for name in known if name in values}


def _conform(value: Any, wanted: Any, name: str) -> Any:
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        if value not in inner:
            every = ", ".join(map(str, inner))
            raise ValueError(f"{name} is one of {every}, got {_short(value)}")
        return value
    if origin in (Union, types.UnionType):
        optional = next(kind for kind in inner if kind is not type(None))
        return None if value is None else _conform(value, optional, name)
    if origin is tuple:
        return tuple(_items(value, inner, name))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} is a table of names and values, got {_short(value)}")
        return {
            _text(key, name): _conform(item, inner[1], f"{name} {key!a}")
            for key, item in _bounded(value, name).items()
        }
    if isinstance(wanted, type) and is_dataclass(wanted):
        if isinstance(value, Mapping):
            return wanted(**conform(value, wanted))
        if not isinstance(value, wanted):
            raise ValueError(f"{name} is a table of names and values, got {_short(value)}")
        return value
    if wanted is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} is true or false, got {_short(value)}")
        return value
    return _text(value, name) if wanted is str else _number(value, wanted, name)


def _items(value: Any, inner: tuple[Any, ...], name: str) -> Iterator[Any]:
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__"):
        raise ValueError(f"{name} is a list, got {_short(value)}")
    repeated = inner[-1] is Ellipsis
    if not repeated and len(value) != len(inner):
        raise ValueError(f"{name} has {len(inner)} items, got {len(value)}")
    for place, item in enumerate(_bounded(value, name)):
        yield _conform(item, inner[0 if repeated else place], name)


def _bounded(value: Any, name: str) -> Any:
    if len(value) > _MAX_ITEMS:
        raise ValueError(f"{name} has {len(value):,} items, more than {_MAX_ITEMS:,}")
    return value


def _number(value: Any, wanted: type, name: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Integral if wanted is int else Real):
        kind = "a whole number" if wanted is int else "a number"
        raise ValueError(f"{name} is {kind}, got {_short(value)}")
    try:
        found = wanted(value)
    except OverflowError:
        found = math.inf
    if not -1e300 < found < 1e300:
        raise ValueError(f"{name} is a finite number, got {_short(value)}")
    return found  # type: ignore[no-any-return]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is text, got {_short(value)}")
    if len(value) > _MAX_TEXT:
        raise ValueError(f"{name} has {len(value):,} characters, more than {_MAX_TEXT:,}")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError(f"{name} has characters that cannot be written: {_short(value)}")
    return value


def _short(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) else repr(value)[:100]
    return text if len(text) < 60 else f"{text[:57]}..."
