"""What the storm damages: one small input of every kind, all made from the photo that ships."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mien.types import Image

_PACKAGE = Path(__file__).parents[1] / "src" / "mien"
_LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_MOST = 2_000_000  # bytes of an original from the shared folder


@dataclass(frozen=True)
class Originals:
    """Inputs that are whole.

    Attributes:
        photo: one with a face.
        images, videos: files of many formats.
        models: what a model is used as, and its file.
        tables: ``faces`` tables of the three formats.
    """

    photo: Path
    images: tuple[Path, ...]
    videos: tuple[Path, ...]
    models: tuple[tuple[str, Path], ...]
    tables: tuple[Path, ...]

    @property
    def table(self) -> Path:
        """A whole table with features, for engagement models."""
        return self.tables[0]

    def beside(self, table: Path) -> Iterator[Path]:
        """The files that belong to a table, itself included."""
        for file in table.parent.iterdir():
            if file.name.split(".")[0] == table.stem:
                yield file


def make_originals(folder: Path, shared: Path | None = None) -> Originals:
    """Write them into a folder.

    Args:
        folder: is made.
        shared: with photos, formats and videos, which are added as far as they are small.
    """
    from mien.media.images import read_image

    folder.mkdir(parents=True)
    portrait = _portrait(read_image(_PACKAGE / "assets" / "astronaut.jpg"))
    images, videos = list(_images(portrait, folder)), list(_videos(portrait, folder))
    photo = next(path for path in images if path.suffix == ".jpg")
    if shared is not None:
        images += [path for name in ("photos", "formats") for path in _small(shared, name)]
        videos += list(_small(shared, "videos"))
    return Originals(
        photo,
        tuple(images),
        tuple(videos),
        tuple(_models(folder)),
        tuple(_tables(videos[0], folder)),
    )


def _small(shared: Path, name: str) -> Iterator[Path]:
    for path in sorted((shared / "media" / name).iterdir()):
        if path.suffix not in (".json", ".csv") and path.stat().st_size < _MOST:
            yield path


def _portrait(photo: Image) -> Image:
    import cv2

    return np.asarray(cv2.resize(photo, (192, 192), interpolation=cv2.INTER_AREA), np.uint8)


def _images(portrait: Image, folder: Path) -> Iterator[Path]:
    from PIL import Image as PilImage

    plain = PilImage.fromarray(portrait)
    ways: list[tuple[str, Any, dict[str, Any]]] = [
        ("plain.jpg", plain, {"quality": 90}),
        ("progressive.jpg", plain, {"progressive": True}),
        ("cmyk.jpg", plain.convert("CMYK"), {}),
        ("plain.png", plain, {}),
        ("palette.png", plain.quantize(64), {}),
        ("gray16.png", PilImage.fromarray(portrait[..., 0].astype(np.uint16) * 257), {}),
        ("plain.webp", plain, {"quality": 80}),
        ("lossless.webp", plain, {"lossless": True}),
        ("plain.tif", plain, {}),
        ("lzw.tif", plain, {"compression": "tiff_lzw"}),
        ("deflate.tif", plain, {"compression": "tiff_adobe_deflate"}),
        ("plain.bmp", plain, {}),
        ("plain.ppm", plain, {}),
        ("plain.avif", plain, {}),
        ("plain.jp2", plain, {}),
        ("still.gif", plain, {}),
    ]
    for name, image, options in ways:
        image.save(folder / name, **options)
        yield folder / name


def _videos(portrait: Image, folder: Path) -> Iterator[Path]:
    from PIL import Image as PilImage

    frames = [np.roll(portrait, 2 * number, axis=1) for number in range(12)]
    codecs = {"film.mp4": "h264", "film.mkv": "h264", "film.webm": "vp9", "film.ts": "h264",
              "film.avi": "mpeg4", "film.mov": "mjpeg", "film.flv": "flv1"}  # fmt: skip
    for name, codec in codecs.items():
        _write_video(folder / name, codec, frames)
        yield folder / name
    stills = [PilImage.fromarray(frame) for frame in frames]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        stills[0].save(folder / name, save_all=True, append_images=stills[1:], duration=100)
        yield folder / name


def _write_video(path: Path, codec: str, frames: list[Image]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _models(folder: Path) -> Iterator[tuple[str, Path]]:
    """Small networks of every kind that a command takes; they say the same of every face."""
    side, d = 32, 16
    card: dict[str, Any] = {
        "name": "tiny", "labels": _LABELS, "input_size": side, "mean": [127.5], "std": [127.5],
        "scores": "scores", "embedding": "features",
        "crop": {"margin": 0.1, "template": [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.4, 0.8],
                                             [0.6, 0.8]]},
        "accuracy": {"fer2013": 0.5}, "temperature": 1.5, "licence": "MIT", "commercial": "yes",
    }  # fmt: skip
    head = {
        "name": "units", "task": "action-units", "columns": ["AU01", "AU12"], "model": "tiny",
        "model_sha256": "", "d": 1024, "thresholds": [0.5, 0.4], "figures": {"f1": 0.5},
    }  # fmt: skip
    windows = {
        "name": "windows", "features": 1024, "steps": 4, "window_s": 0.5, "engaged_is": 1,
        "says": "probability", "residual": 0.1, "accuracy": {"ccc": 0.5},
    }  # fmt: skip
    model = _network(folder / "tiny.onnx", ["n", 3, side, side], 7, d, {"mien.card": card})
    yield "model", model
    yield "head", _network(folder / "head.onnx", ["n", 1024], 2, 0, {"mien.head": head})
    shape: list[Any] = ["n", 4, 2048]
    yield "engagement", _network(folder / "w.onnx", shape, 2, 0, {"mien.engagement": windows})


def _network(
    path: Path, shape: list[Any], outputs: int, features: int, cards: dict[str, Any]
) -> Path:
    """Mean over all but the first axis, then a softmax of `outputs` columns."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(3)
    axes = list(range(1, len(shape)))
    names = {"mien.head": ("features", "values")}.get(next(iter(cards)), ("x", "scores"))
    nodes = [
        helper.make_node("ReduceMean", [names[0]], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("Gemm", ["column", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [names[1]], axis=1),
    ]
    held = [
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(rng.normal(size=(1, outputs)).astype(np.float32), "weights"),
    ]
    value = helper.make_tensor_value_info
    answers = [value(names[1], TensorProto.FLOAT, ["n", outputs])]
    if features:
        nodes.append(helper.make_node("Gemm", ["column", "wide"], ["features"]))
        wide = rng.normal(size=(1, features)).astype(np.float32)
        held.append(numpy_helper.from_array(wide, "wide"))
        answers.append(value("features", TensorProto.FLOAT, ["n", features]))
    graph = helper.make_graph(
        nodes, path.stem, [value(names[0], TensorProto.FLOAT, shape)], answers, held
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {name: json.dumps(card) for name, card in cards.items()})
    save(model, str(path))
    return path


def _tables(video: Path, folder: Path) -> Iterator[Path]:
    """What the command writes of the video, in every format."""
    for name in ("t.parquet", "c.csv", "l.jsonl"):
        command = ["analyze", str(video), "-o", name, "--embeddings", "features", "--keep-faces"]
        call = [sys.executable, "-c", "from mien.cli import main; main()", *command]
        subprocess.run(call, cwd=folder, check=True, capture_output=True)
        yield folder / name
