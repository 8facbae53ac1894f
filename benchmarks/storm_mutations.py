"""How the storm damages its inputs: bytes, cards, tables; all from one seeded `rng`."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

#: Values that a field of a card, a cell or a setting should not have.
HOSTILE: tuple[Any, ...] = (
    None, True, "", "text", "7", -1, 0, 1, 7.5, 1e9, 1e30, -1e30, 10**25, 2**31, 2**63,
    float("nan"), float("inf"), [], [1, "a"], {}, {"a": 1}, ["a", "a"], "\ud800", "\x1b[31m",
    "a" * 3000, [[]], [[1, 2]] * 5, [["a", "b"]] * 5,
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_TEXTS = (b"", b"-1", b"1e400", b"nan", b"inf", b"99999999999999999999", b"7", b"x", b"null", b'"')


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy: one to four mutations, of which headers get more than their share."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not found:
            break
        rng.choice(_WAYS)(found, rng)
    return bytes(found)


def _place(data: bytearray, rng: random.Random) -> int:
    ends = (min(len(data), 64), min(len(data), 1024), len(data), len(data))
    place = rng.randrange(rng.choice(ends))
    return len(data) - 1 - place if rng.random() < 0.15 else place


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 3, 20))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _fill(data: bytearray, rng: random.Random) -> None:
    start, length = _place(data, rng), rng.choice((1, 4, 64, 500))
    length = min(length, len(data) - start)
    data[start : start + length] = rng.choice((b"\0", b"\xff", b"\x80", b"\x7f")) * length


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _drop(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    del data[start : start + rng.choice((1, 2, 16, 300))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start, length = _place(data, rng), rng.choice((4, 64, 1000))
    data[start:start] = data[start : start + length] * rng.choice((1, 2, 50))


def _insert(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    data[start:start] = rng.randbytes(rng.choice((1, 4, 200)))


def _number(data: bytearray, rng: random.Random) -> None:
    start, width = _place(data, rng), rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), 65_535, 178_000_000, 255))
    order = rng.choice(("big", "little"))
    data[start : start + width] = (value % 2 ** (8 * width)).to_bytes(width, order)


def _digits(data: bytearray, rng: random.Random) -> None:
    found = list(_NUMBER.finditer(bytes(data[:20_000])))
    if found:
        start, end = rng.choice(found).span()
        data[start:end] = rng.choice(_TEXTS)


_WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _fill, _cut, _drop, _repeat, _insert, _number, _number, _digits,
)  # fmt: skip


def hostile_card(card: dict[str, Any], rng: random.Random) -> Any:
    """A card with one or two wrong fields, or something that is no card at all."""
    if rng.random() < 0.05:
        return rng.choice(HOSTILE)
    found = dict(card)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(found) or ["labels"])
        way = rng.random()
        if way < 0.1:
            found.pop(name, None)
        elif way < 0.3 and isinstance(found.get(name), list) and found[name]:
            items = list(found[name])
            items[rng.randrange(len(items))] = rng.choice(HOSTILE)
            found[name] = items
        elif way < 0.35:
            found[name] = _deep(rng.choice((50, 20_000)))
        else:
            found[name] = rng.choice(HOSTILE)
    return found


def _deep(levels: int) -> Any:
    return _Raw("[" * levels + "]" * levels)


class _Raw(str):
    """JSON that no encoder would write, since it is too deep."""


def as_json(value: Any) -> str:
    """JSON, in which raw parts stand as they are."""
    raw: list[str] = []

    def marked(item: Any) -> Any:
        if isinstance(item, _Raw):
            raw.append(str(item))
            return f"<raw {len(raw) - 1}>"
        return {k: marked(v) for k, v in item.items()} if isinstance(item, dict) else item

    text = json.dumps(marked(value))
    for place, part in enumerate(raw):
        text = text.replace(f'"<raw {place}>"', part)
    return text


def with_card(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A model whose cards were changed."""
    import onnx

    model = onnx.load_from_string(data)
    for entry in model.metadata_props:
        if entry.key.startswith("mien."):
            entry.value = as_json(change(json.loads(entry.value)))
    return bytes(model.SerializeToString())


def hostile_table(path: Path, rng: random.Random) -> None:
    """Change one thing in a table's file that its format does not forbid."""
    if path.suffix == ".parquet":
        _hostile_parquet(path, rng)
        return
    text = path.read_bytes()
    if path.suffix == ".csv" and rng.random() < 0.7:
        table = pd.read_csv(path, dtype="string", keep_default_na=False)
        _hostile_frame(table, rng).to_csv(path, index=False)
        return
    data = bytearray(text)
    _digits(data, rng)
    path.write_bytes(bytes(data))


def _hostile_parquet(path: Path, rng: random.Random) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metadata = dict(table.schema.metadata or {})
    if rng.random() < 0.4 and metadata:
        name = rng.choice(sorted(metadata))
        value = rng.choice((b"\xff\xfe", b"null", b"[", b"[" * 5000, b"-1", b"nan", b'{"a": []}'))
        metadata[name] = value
        pq.write_table(table.replace_schema_metadata(metadata), path)
        return
    frame = _hostile_frame(table.to_pandas(), rng)
    try:
        changed = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        texts = [frame.iloc[:, place].map(str).to_list() for place in range(len(frame.columns))]
        changed = pa.table(texts, names=[str(name) for name in frame.columns])
    if rng.random() < 0.8:
        changed = changed.replace_schema_metadata(metadata)
    pq.write_table(changed, path)


def _hostile_frame(table: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    names = list(table.columns)
    if not names or not len(table):
        return table
    name, way = rng.choice(names), rng.randrange(7)
    if way == 0:
        return table.drop(columns=name)
    if way == 1:
        return table.rename(columns={name: rng.choice(("", "x", *names))})
    if way == 2:
        rows = rng.sample(range(len(table)), k=len(table))
        return table.iloc[rows]
    if way == 3:
        return pd.concat([table, table.iloc[rng.randrange(len(table)) :]], ignore_index=True)
    if way == 4:
        return table.iloc[: rng.randrange(len(table))]
    values = [v for v in HOSTILE if not isinstance(v, str) or "\ud800" not in v]
    value = rng.choice([v for v in values if not isinstance(v, list | dict)])
    column = table[name].astype(object)
    if way == 5:
        column[:] = value
    else:
        column.iloc[rng.randrange(len(table))] = value
    return table.assign(**{name: column})
