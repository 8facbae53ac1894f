"""Segments of expressions for other programs: WebVTT for players, ELAN for annotators.

WebVTT: https://www.w3.org/TR/webvtt1/. ELAN's ``.eaf``: the EAF 3.0 schema,
https://www.mpi.nl/tools/elan/EAFv3.0.xsd. Both hold segments, not every frame.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree

from mien.files import write_text
from mien.labels import UNCERTAIN

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".vtt", ".eaf")
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = "apparent expression"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Allowed in XML, but no part of a word: C1 control characters, and what turns the direction.
_NO_TEXT = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Stretch:
    """One person, one expression, from `start_s` to `end_s`.

    Attributes:
        who: name of the person.
        label: the predicted expression.
        start_s, end_s: seconds of the video.
        strength: mean probability, or None where it is no probability.
        tier: what it is about besides expressions, such as "AU12": a tier of its own in ELAN.
    """

    who: str
    label: str
    start_s: float
    end_s: float
    strength: float | None = None
    tier: str = ""

    @property
    def place(self) -> str:
        """Name of the tier."""
        return f"{self.who} {self.tier}".rstrip() if self.tier else self.who


def stretches(
    segments: pd.DataFrame, strength: bool, name_of: Callable[[int], str]
) -> list[Stretch]:
    """The rows of `Timeline.segments`.

    `strength` says whether it is a probability, and so written.
    """
    shares = [
        row["strength"] if strength and row["emotion"] != UNCERTAIN else None
        for row in segments.to_dict("records")
    ]
    times = segments["start_s"], segments["end_s"]
    rows = zip(segments["track_id"], segments["emotion"], *times, shares, strict=True)
    return [Stretch(name_of(person), *known) for person, *known in rows]


def action_stretches(events: pd.DataFrame, name_of: Callable[[int], str]) -> list[Stretch]:
    """The rows of `Timeline.actions`: onset, apex and offset of each, in a tier per action."""
    names = ["track_id", "action", "onset_s", "apex_s", "apex_end_s", "offset_s"]
    found = []
    for person, action, *times in events[names].itertuples(index=False):
        for label, start, end in zip(("onset", "apex", "offset"), times, times[1:], strict=False):
            if end > start:
                found.append(Stretch(name_of(person), label, start, end, tier=action))
    return found


def write_webvtt(
    stretches: Sequence[Stretch], path: str | Path, note: str = "", *, overwrite: bool = False
) -> Path:
    """Write subtitles: a cue per segment, by time, with the person as the voice that speaks.

    Stretches of several people may be shown at once, as players allow. A file that mien wrote is
    replaced, any other with `overwrite`. The note is a sentence about the whole, which players do
    not show.

    Raises:
        UsageError: nothing can be written there.
    """
    about = "Apparent facial expressions, with their mean probability."
    cues = ["WEBVTT", _one_line(f"NOTE {about} {note}")]
    times = _milliseconds(stretches)
    order = sorted(range(len(stretches)), key=lambda i: times[i])
    for number, i in enumerate(order, 1):
        stretch, (start, end) = stretches[i], times[i]
        text = stretch.label
        if stretch.strength is not None:
            text += f" {round(100 * stretch.strength)} %"
        line = f"<v {_one_line(stretch.who)}>{_one_line(text)}</v>"
        cues.append(f"{number}\n{_clock(start)} --> {_clock(end)}\n{line}")
    return write_text(path, "\n\n".join(cues) + "\n", overwrite=overwrite)


def write_elan(
    stretches: Sequence[Stretch],
    path: str | Path,
    video: str = "",
    note: str = "",
    *,
    overwrite: bool = False,
) -> Path:
    """Write an ELAN document: a tier per person, an annotation per segment, its value the label.

    Actions have tiers of their own, see `Stretch.tier`.

    Args:
        stretches: those of one person do not overlap by more than rounding to milliseconds.
        path: an ``.eaf`` file; one that mien wrote is replaced.
        video: path or address of the video, for ELAN to open.
        note: a sentence about the whole, kept as the property "mien:note" of the document.
        overwrite: replace any other file, too.

    Raises:
        UsageError: nothing can be written there.
    """
    target = Path(path)
    times = _milliseconds(stretches)
    slots = {ms: f"ts{i}" for i, ms in enumerate(sorted({ms for span in times for ms in span}), 1)}
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "mien",
            "DATE": datetime.now().astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = _add(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if video:
        _add(header, "MEDIA_DESCRIPTOR", **_media(video, target))
    _add(header, "PROPERTY", str(len(stretches)), NAME="lastUsedAnnotationId")
    if note:
        _add(header, "PROPERTY", note, NAME="mien:note")
    order = _add(root, "TIME_ORDER")
    for ms, slot in slots.items():
        _add(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(ms))
    _add_tiers(root, stretches, times, slots)
    about = {"LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    _add(root, "LINGUISTIC_TYPE", **about)
    ElementTree.register_namespace("xsi", _XSI)
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    text = head + ElementTree.tostring(root, encoding="unicode") + "\n"
    return write_text(target, text, overwrite=overwrite)


def _add_tiers(
    root: ElementTree.Element,
    stretches: Sequence[Stretch],
    times: Sequence[tuple[int, int]],
    slots: Mapping[int, str],
) -> None:
    """A tier for each person, and for each action, with an annotation per stretch."""
    tiers: dict[str, ElementTree.Element] = {}
    for number, (stretch, (start, end)) in enumerate(zip(stretches, times, strict=True), 1):
        who, tier = _printable(stretch.who), _printable(stretch.place)
        if tier not in tiers:
            about = {"LINGUISTIC_TYPE_REF": _TYPE, "PARTICIPANT": who, "TIER_ID": tier}
            tiers[tier] = _add(root, "TIER", **about)
        about = {"TIME_SLOT_REF1": slots[start], "TIME_SLOT_REF2": slots[end]}
        annotation = _add(tiers[tier], "ANNOTATION")
        aligned = _add(annotation, "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}", **about)
        _add(aligned, "ANNOTATION_VALUE", _printable(stretch.label))


def _milliseconds(stretches: Sequence[Stretch]) -> list[tuple[int, int]]:
    """Start and end of each: at least 1 ms long, and after the one before in its tier."""
    spans = []
    free: dict[str, int] = {}
    for stretch in stretches:
        start = max(round(1000 * stretch.start_s), free.get(stretch.place, 0))
        end = max(round(1000 * stretch.end_s), start + 1)
        free[stretch.place] = end
        spans.append((start, end))
    return spans


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _one_line(text: str) -> str:
    """Text of a cue or a voice: no line break, nothing that opens a tag or an escape."""
    return escape(" ".join(_printable(text).split()), quote=False)


def _printable(text: str) -> str:
    """The text without characters that neither XML nor a line of subtitles may hold."""
    return _NO_TEXT.sub("\ufffd", _NOT_XML.sub("\ufffd", text))


def _media(video: str, document: Path) -> dict[str, str]:
    """How ELAN finds the video: by its full address, or beside the document."""
    kind = mimetypes.guess_type(video)[0] or "unknown"
    if "://" in video:
        return {"MEDIA_URL": _printable(video), "MIME_TYPE": kind}
    path = Path(video).absolute()
    about = {"MEDIA_URL": path.as_uri(), "MIME_TYPE": kind}
    try:
        near = Path(os.path.relpath(path, document.absolute().parent)).as_posix()
    except ValueError:  # another drive of Windows
        return about
    near = near if near.startswith("../") else f"./{near}"
    return about | {"RELATIVE_MEDIA_URL": quote(near)}


def _add(
    parent: ElementTree.Element, tag: str, text: str | None = None, **attributes: str
) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = text
    return child
