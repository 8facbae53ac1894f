"""The live view: milliseconds from a camera's frame to its result on the screen.

    python benchmarks/live.py [--seconds 15] [--fps 30]

A camera is generated: 640 x 480, two faces from the photo in the package, one of them
mirrored, that drift over a noisy background. Where there is a screen (``xvfb-run`` will do) the
view opens its window; elsewhere the same images are drawn and not shown. The clock starts when
the camera hands its frame over and stops when the window has been repainted with its result.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from video import PHOTO

from mien.analyzer import EmotionAnalyzer
from mien.cli.viewer.live import Live
from mien.cli.viewer.view import Renderer, Screen
from mien.cli.viewer.window import _Window, show_in_window
from mien.media.camera import CameraSource
from mien.media.images import read_image
from mien.types import Image

W, H = 640, 480


class Camera:
    """Hands over a frame every ``1 / fps`` seconds and remembers when."""

    def __init__(self, fps: float, seconds: float) -> None:
        self.fps, self.count = fps, round(fps * seconds)
        self.handed_over: list[float] = []
        photo = read_image(PHOTO)[:260, 90:350]
        self._faces = [cv2.resize(p, (180, 180)) for p in (photo, photo[:, ::-1])]
        noise = np.random.default_rng(0).integers(40, 200, (12, 16, 3)).astype(np.uint8)
        self._ground = cv2.resize(noise, (W, H))

    def __call__(self) -> Iterator[tuple[float, Image]]:
        """Times in seconds and images, as `CameraSource` takes them."""
        begun = time.monotonic()
        for number in range(self.count):
            time.sleep(max(0.0, begun + number / self.fps - time.monotonic()))
            image = self.image(number)
            self.handed_over.append(time.monotonic())
            yield number / self.fps, image

    def image(self, number: int) -> Image:
        """The faces a little further on their way."""
        image, angle = self._ground.copy(), 2 * np.pi * number / (8 * self.fps)
        for i, face in enumerate(self._faces):
            x = int(W * (0.28 + 0.45 * i) - 90 + 45 * np.cos(angle + 2 * i))
            y = int(H / 2 - 90 + 30 * np.sin(2 * angle + i))
            image[y : y + 180, x : x + 180] = face
        return np.asarray(image, np.uint8)


class Timed(Live):
    """A live view that notes when each frame's result could be seen."""

    def __init__(self, camera: Camera, analyzer: EmotionAnalyzer) -> None:
        frames = CameraSource("generated", open_=camera)
        super().__init__("generated", frames, lambda gate: analyzer.stream(gate, keep=True))
        self.seen: dict[int, float] = {}
        repaint = _Window._show

        def show(window: _Window, screen: Screen) -> None:
            repaint(window, screen)
            self.note(screen)

        _Window._show = show  # type: ignore[assignment, method-assign]

    def note(self, screen: Screen) -> None:
        """The window has been repainted."""
        if screen.image is not None:
            self.seen.setdefault(screen.index, time.monotonic())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--fps", type=float, default=30)
    options = parser.parse_args(arguments)
    camera, analyzer = Camera(options.fps, options.seconds), EmotionAnalyzer()
    analyzer(camera.image(0))  # the networks are opened before the camera starts
    view = Timed(camera, analyzer)
    with view:
        windowed = show_in_window(view)
        if not windowed:
            renderer = Renderer()
            while not view.done:
                if (screen := view.next_screen()) is not None:
                    renderer.draw(screen, (1280, 860))
                    view.note(screen)
                time.sleep(view.pause_s)
    if view.error is not None:
        raise view.error
    late = sorted(1000 * (at - camera.handed_over[index]) for index, at in view.seen.items())
    half, most, worst = (float(np.percentile(late, q)) for q in (50, 95, 100))
    how = "in a window" if windowed else "drawn, not shown"
    print(
        f"{W} x {H} at {options.fps:g} frames a second for {options.seconds:g} s, {how}: "
        f"{len(late)} of {camera.count} frames shown, {view.counts['dropped']} left out; "
        f"from frame to result {half:.0f} ms (median), "
        f"{most:.0f} ms (95 %), {worst:.0f} ms (worst)"
    )


if __name__ == "__main__":
    main()
