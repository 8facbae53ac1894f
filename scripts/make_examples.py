"""Make the media of ``examples/`` from the one photo that mien ships.

    python scripts/make_examples.py examples

Every file shows the same person, so that no license but NASA's public domain applies. The videos
are pans and zooms over the photo; the middle of each is blurred, so that a tutorial can show what
happens to faces that cannot be judged.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

import mien
from mien.types import Image

SIZE, FPS, SECONDS = 320, 10, 8
#: Name of a session, where its camera begins (x, y in pixels of the photo), and its brightness.
SESSIONS = {
    "P01_pre": (20, 0, 1.0),
    "P01_post": (60, 10, 0.8),
    "P02_pre": (40, 20, 1.1),
    "P02_post": (70, 0, 0.9),
}


def main(target: Path) -> None:
    """Write photos and sessions below a folder."""
    photo = mien.read_image(str(files("mien") / "assets" / "astronaut.jpg"))
    photos(photo, target / "photos")
    for name, (x, y, brightness) in SESSIONS.items():
        session(photo, target / "sessions" / f"{name}.mp4", (x, y), brightness)


def photos(photo: Image, folder: Path) -> None:
    """Six inputs: three with a clear face, one blurred, one without a face, one damaged."""
    (folder / "trip").mkdir(parents=True, exist_ok=True)
    gray = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(
        np.uint8
    )
    images: dict[str, Image] = {
        "portrait.jpg": photo,
        "trip/close.jpg": photo[20:240, 110:330],
        "trip/gray.jpg": gray,
        "trip/blurred.jpg": cv2.GaussianBlur(photo, (0, 0), 9).astype(np.uint8),
        "trip/no_face.jpg": photo[300:500, 250:450],
    }
    for name, image in images.items():
        write(folder / name, image)
    whole = (folder / "portrait.jpg").read_bytes()
    (folder / "trip" / "damaged.jpg").write_bytes(whole[: len(whole) // 3])


def write(path: Path, image: Image) -> None:
    """Write an RGB image as a JPEG file."""
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


def session(photo: Image, path: Path, corner: tuple[int, int], brightness: float) -> None:
    """Write a video: the camera pans, and its picture is blurred from 3 s to 5 s."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "30"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(FPS * SECONDS):
            x, y = corner[0] + index // 2, corner[1] + index // 8
            view = photo[y : y + SIZE, x : x + SIZE].astype(np.float32) * brightness
            image = np.clip(view, 0, 255).astype(np.uint8)
            if 3 * FPS <= index < 5 * FPS:
                image = cv2.GaussianBlur(image, (0, 0), 9).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples"))
