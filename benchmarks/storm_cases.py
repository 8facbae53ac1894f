"""The cases of the storm: commands of mien, each on one damaged input in a folder of its own."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from storm_mutations import hostile_card, hostile_table, mutated, with_card
from storm_originals import Originals, make_originals


@dataclass(frozen=True)
class Case:
    """One command on one input; the files lie in a folder of its own.

    Attributes:
        name: of the folder: what was mutated, and its number.
        command: arguments of ``mien``.
    """

    name: str
    command: tuple[str, ...]


def make_cases(work: Path, shared: Path | None, seed: int, counts: Mapping[str, int]) -> list[Case]:
    """Write the inputs of all cases.

    Args:
        work: gets a folder for every case, of its name.
        shared: as for `make_originals`.
        seed: the same one gives the same cases.
        counts: number of cases by kind.
    """
    originals = make_originals(work / "originals", shared)
    rng = random.Random(seed)
    return [
        case
        for kind, make in _MAKERS.items()
        for case in make(originals, work, rng, counts.get(kind, 0))
    ]


def _images(originals: Originals, work: Path, rng: random.Random, count: int) -> Iterator[Case]:
    for number in range(count):
        source = rng.choice(originals.images)
        folder = _folder(work, f"image{number:05}")
        name = f"mutated{source.suffix}"
        (folder / name).write_bytes(mutated(source.read_bytes(), rng))
        detector = rng.choice(("yunet", "yunet", "mtcnn", "haar"))
        command = ("analyze", name, "--detector", detector, "-o", "t.csv")
        yield Case(folder.name, command)


def _videos(originals: Originals, work: Path, rng: random.Random, count: int) -> Iterator[Case]:
    ways: list[tuple[str, ...]] = [
        ("-o", "t.parquet"),
        ("-o", "t.jsonl", "--fps", "5"),
        ("-o", "t.csv", "--annotate", "drawn.mp4"),
        ("-o", "t.parquet", "--adaptive"),
    ]
    for number in range(count):
        source = rng.choice(originals.videos)
        folder = _folder(work, f"video{number:05}")
        name = f"mutated{source.suffix}"
        (folder / name).write_bytes(mutated(source.read_bytes(), rng))
        yield Case(folder.name, ("analyze", name, *rng.choice(ways)))


def _models(originals: Originals, work: Path, rng: random.Random, count: int) -> Iterator[Case]:
    photo = str(originals.photo)
    for number in range(count):
        use, source = rng.choice(originals.models)
        folder = _folder(work, f"model{number:05}")
        data = source.read_bytes()
        if rng.random() < 0.5:
            data = with_card(data, lambda card: hostile_card(card, rng))
        else:
            data = mutated(data, rng)
        (folder / "mutated.onnx").write_bytes(data)
        commands = {
            "model": ("analyze", photo, "--model", "mutated.onnx", "-o", "t.csv"),
            "add": ("models", "add", "mutated.onnx", "--name", f"own{number}"),
            "head": ("analyze", photo, "--head", "mutated.onnx", "-o", "t.csv"),
            "engagement": (
                *("engagement", str(originals.table), "--model", "mutated.onnx", "-o", "e.csv"),
            ),
        }
        if use == "model":
            use = rng.choice(("model", "model", "add"))
        yield Case(folder.name, commands[use])


def _tables(originals: Originals, work: Path, rng: random.Random, count: int) -> Iterator[Case]:
    ways: list[tuple[str, ...]] = [
        ("report", "{}", "-o", "r.html"),
        ("export", "{}", "-o", "e.vtt"),
        ("export", "{}", "-o", "e.eaf"),
        ("export", "{}", "-o", "e.svg"),
        ("export", "{}", "-o", "e.csv"),
        ("view", "{}"),
        ("people", "{}"),
    ]
    for number in range(count):
        folder = _folder(work, f"table{number:05}")
        table = rng.choice(originals.tables)
        for file in originals.beside(table):
            shutil.copy(file, folder)
        victim = rng.choice(sorted(folder.iterdir()))
        if rng.random() < 0.6:
            hostile_table(victim, rng)
        else:
            victim.write_bytes(mutated(victim.read_bytes(), rng))
        yield Case(folder.name, tuple(part.format(table.name) for part in rng.choice(ways)))


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    return folder


_MAKERS = {"images": _images, "videos": _videos, "models": _models, "tables": _tables}
