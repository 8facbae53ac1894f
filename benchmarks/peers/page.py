"""``docs/comparison.md``, made from the stored results alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.entries import PEERS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parents[1] / "docs" / "comparison.md"


def _boxes_per_face(figures: Mapping[str, Any]) -> float:
    boxes, faces = figures["video_faces"]
    return float(boxes / faces)


#: Figures as (heading, how to read it from the figures of a peer, format, whether more is better or
#: None where neither is).
Column = tuple[str, Callable[[Mapping[str, Any]], Any], str, bool | None]
SPEED: Sequence[Column] = (
    ("cold photo, s", lambda f: f["cold_s"], ".2f", False),
    ("photos/s", lambda f: f["photos_per_s"], ".1f", True),
    ("720p frames/s", lambda f: f["frames_per_s"], ".1f", True),
    ("peak memory, MB", lambda f: f["peak_mb"], ".0f", False),
    ("early in the video, MB", lambda f: f["memory"]["early_mb"], ".0f", False),
    ("late, MB", lambda f: f["memory"]["late_mb"], ".0f", False),
)
FACES: Sequence[Column] = (
    ("faces in photos", lambda f: f"{f['photos']['found']} of {f['photos']['faces']}", "", True),
    ("false boxes", lambda f: f["photos"]["false"], "d", False),
    (
        "boxes per face in the video",
        _boxes_per_face,
        ".2f",
        None,
    ),
    ("photos' labels", lambda f: f"{f['photos']['right']} of {f['photos']['labeled']}", "", True),
    ("ids for 8 people", lambda f: f["people"]["ids"], "d", None),
)
VOTES: Sequence[Column] = (
    ("FER+ majority", lambda f: f["crops"]["right"] / f["crops"]["faces"], ".1%", True),
    ("ECE to votes", lambda f: f["crops"]["ece"], ".3f", False),
    ("KL to votes, nats", lambda f: f["crops"]["kl"], ".2f", False),
    ("faces", lambda f: f["crops"]["faces"], "d", None),
)


def write() -> None:
    """Make the page again."""
    PAGE.write_text(text(stored()))


def stored(folder: Path = RESULTS) -> dict[str, Any]:
    """The results, by peer, in the order of `PEERS`."""
    files = {name: folder / f"{name}.json" for name in PEERS}
    results = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    for name, result in results.items():
        if (file := folder / "earlier" / f"{name}.json").exists():
            earlier = json.loads(file.read_text())
            result["figures"]["earlier"] = earlier["figures"]
            result["loads"] = [earlier["machine"]["load"]]
    return results


def text(results: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    ran = {name: r for name, r in results.items() if "error" not in r["figures"]}
    failed = {name: r for name, r in results.items() if "error" in r["figures"]}
    parts = [
        "# Comparison with other packages",
        "<!-- Made by benchmarks/comparison.py from benchmarks/peers/results. -->",
        _intro(results),
        "## Installation and import",
        _installs(results),
        _prose("install"),
        "## Speed and memory",
        _table(ran, SPEED),
        _prose("speed"),
        "## Faces and people",
        _table(ran, FACES),
        _prose("faces"),
        "## Expressions and calibration",
        _table(ran, VOTES, trained=True),
        _prose("votes"),
        "## Where mien loses",
        _losses(ran, results),
        "## What could not be measured",
        _failures(failed),
        "## What a broken input brings",
        _broken(ran),
        "## What each offers",
        (HERE / "features.md").read_text().strip(),
        "Read from sources and documentation of the versions named, 23 November 2026.",
    ]
    return "\n\n".join(parts) + "\n"


def _prose(name: str) -> str:
    return (HERE / f"protocol_{name}.md").read_text().strip()


def _intro(results: Mapping[str, Any]) -> str:
    one = next(iter(results.values()))
    machine = one["machine"]
    dates = sorted({r["date"] for r in results.values()})
    ran = [r for r in results.values() if "error" not in r["figures"]]
    loads = [load for r in ran for load in (r["machine"]["load"], *r.get("loads", []))]
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return (
        f"Measured on {days}: {machine['processor']}, {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB, Linux, one peer at a time, each phase in a fresh process,"
        f" two runs. Other work ran on the machine (load {min(loads)} to {max(loads)} at the end of"
        " a peer's run), and a peer's two runs differ by up to a factor of three: speeds show both,"
        " the better first, the rest is of the second run. Small differences in speed mean nothing."
        " To repeat it:"
        " `python benchmarks/comparison.py --install`. The raw results are in"
        " `benchmarks/peers/results`."
    )


def _table(results: Mapping[str, Any], columns: Sequence[Column], trained: bool = False) -> str:
    heads = ["", *(column[0] for column in columns), *(["trained on"] if trained else [])]
    rows = []
    for name, result in results.items():
        cells = [f"{name} {result['version']}", *(_cell(result["figures"], c) for c in columns)]
        rows.append([*cells, *([PEERS[name].trained] if trained else [])])
    return _markdown(heads, rows, left=trained)


def _cell(figures: Mapping[str, Any], column: Column) -> str:
    """A figure, of two runs the better first where it is a speed."""
    if (value := _value(figures, column)) is None:
        return "–"
    other = _value(figures.get("earlier", {}), column) if column in SPEED[:3] else None
    values = [value] if other is None else sorted([value, other], reverse=bool(column[3]))
    return "; ".join("none" if v == "none" else format(v, column[2]) for v in values)


def _value(figures: Mapping[str, Any], column: Column) -> Any:
    try:
        value = column[1](figures)
    except KeyError:
        return None
    return "none" if value is None else value


def _installs(results: Mapping[str, Any]) -> str:
    rows = []
    for name, result in results.items():
        found = result["import"]
        seconds = (
            f"{found['seconds']:.2f}"
            if "seconds" in found
            else _short(found.get("error", "in Node, see cold photo"))
        )
        rows.append([f"{name} {result['version']}", f"{result['install_mb']:.0f}", seconds])
    return _markdown(["", "installed, MB", "import, s"], rows)


def _losses(results: Mapping[str, Any], installed: Mapping[str, Any]) -> str:
    """Every figure in which a peer is better than mien."""
    if "mien" not in results:
        return ""
    lines = []
    for column in (*SPEED, *FACES, *VOTES):
        head, _, _, more = column
        own = _number(results["mien"]["figures"], column)
        if more is None or own is None:
            continue
        better = [
            f"{name} ({_cell(result['figures'], column)})"
            for name, result in results.items()
            if (value := _number(result["figures"], column)) is not None
            and (value > own if more else value < own)
        ]
        if better:
            cell = _cell(results["mien"]["figures"], column)
            lines.append(f"- **{head}**: mien {cell}; better: {', '.join(better)}.")
    sizes = {name: result["install_mb"] for name, result in installed.items()}
    if smaller := [f"{n} ({s:.0f} MB)" for n, s in sizes.items() if s < sizes["mien"]]:
        lines.append(
            f"- **installed**: mien {sizes['mien']:.0f} MB; smaller: {', '.join(smaller)}."
        )
    times = {n: r["import"].get("seconds", 99) for n, r in installed.items()}
    if faster := [f"{n} ({t:.2f})" for n, t in times.items() if t < times["mien"]]:
        lines.append(f"- **import, s**: mien {times['mien']:.2f}; faster: {', '.join(faster)}.")
    return "\n".join([*lines, (HERE / "losses.md").read_text().strip()])


def _number(figures: Mapping[str, Any], column: Column) -> float | None:
    """What a cell says first, as a number."""
    first = _cell(figures, column).replace("%", " ").replace(";", " ").split()[0]
    return None if first in ("none", "–") else float(first)


def _failures(results: Mapping[str, Any]) -> str:
    """Peers that did not get to an answer, with what they said."""
    rows = [
        [f"{name} {r['version']}", PEERS[name].trained, _short(r["figures"]["error"], 200)]
        for name, r in results.items()
    ]
    note = _prose("failures")
    return f"{note}\n\n" + _markdown(["", "trained on", "what loading said"], rows, left=True)


def _broken(results: Mapping[str, Any]) -> str:
    names = ("truncated.jpg", "text.jpg", "empty")
    rows = [
        [name, *(_short(r["figures"]["broken"].get(case, "–"), 120) for case in names)]
        for name, r in results.items()
    ]
    heads = ["", "JPEG cut in half", "text named .jpg", "empty folder"]
    return _markdown(heads, rows, left=True)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], left: bool = False) -> str:
    rule = ["---"] + ["---" if left else "--:"] * (len(heads) - 1)
    lines = [heads, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _short(message: str, length: int = 90) -> str:
    """One line of plain text that cannot break the table."""
    plain = " ".join(message.encode("ascii", "ignore").decode().replace("|", "/").split())
    plain = plain.replace("<", "‹").replace(">", "›").replace("*", "")
    return plain if len(plain) <= length else plain[: length - 1] + "…"
