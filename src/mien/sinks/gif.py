"""A few annotated seconds as an animated GIF: small, silent, and it plays everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from mien.drawing.overlay import Overlay
from mien.errors import UsageError
from mien.files import SIGNATURE, check_not_input, check_output, replacing, writing
from mien.results.result import Result
from mien.sinks.stabilizer import Stabilizer

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_SIDE = 400  # pixels of the longer side
_FPS = 10.0
_COLORS = 255


class GifSink:
    """Draws boxes and expressions as `VideoSink` does, ten frames a second, in 255 colors.

    For some seconds only: all frames are held until the end, a tenth of a megabyte each. After
    an exception nothing is written.

    Args:
        path: ``.gif``; an animation that mien wrote is replaced.
        overwrite: replace any other file, too.

    Raises:
        UsageError: another suffix, or nothing can be written there.
    """

    needs_images = True

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path: Path
        self.path, self._overwrite = Path(path), overwrite
        self._frames: list[tuple[Picture, float]] = []
        self._due = 0.0

    def __enter__(self) -> Self:
        if self.path.suffix.lower() != ".gif":
            raise UsageError(f"an animation must be a .gif file, not {self.path.name!r}.")
        check_output(self.path, overwrite=self._overwrite)
        return self

    def write(self, result: Result) -> None:
        """Add one frame, if one is due; unreadable frames only take their time."""
        if result.error is not None or result.time_s is None:
            return
        image = result.meshed_image
        if not self._frames:
            check_not_input(self.path, result.source)
            scale = min(1.0, _SIDE / max(image.shape[:2]))
            size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
            self._overlay = Overlay(result.labels, size, margin=False)
            self._stabilizer, self._due = Stabilizer(result.labels), result.time_s
        people = self._stabilizer.people(result)
        if result.time_s < self._due - 0.25 / _FPS:
            return
        self._due = max(self._due + 1 / _FPS, result.time_s)
        from PIL import Image as PilImage

        picture = PilImage.fromarray(np.asarray(self._overlay.draw(image, people)))
        reduced = picture.quantize(_COLORS, method=PilImage.Quantize.FASTOCTREE)
        self._frames.append((reduced, result.time_s))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or not self._frames:
            return
        times = [time_s for _, time_s in self._frames]
        steps = np.diff([*times, times[-1] + 1 / _FPS])
        first, *others = [picture for picture, _ in self._frames]
        with writing(self.path), replacing(self.path) as temporary:
            first.save(
                temporary,
                "GIF",
                save_all=True,
                append_images=others,
                duration=[max(20, 10 * round(100 * step)) for step in steps.tolist()],
                loop=0,
                comment=SIGNATURE,
            )
