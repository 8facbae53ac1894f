"""vladmandic/human in Node, with its WebAssembly backend; a process that answers line by line."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.adapters.contract import Face, frames_of, named


class Adapter:
    """The contract of `peers.adapters.contract.Peer`."""

    package = "@vladmandic/human"

    def load(self) -> None:
        """Open the networks."""
        script = Path(__file__).with_name("human.cjs")
        self.process = subprocess.Popen(
            ["node", str(script), os.environ["PEER_HOME"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def image(self, path: Path) -> list[Face]:
        """Find and classify the faces of a file."""
        return self._ask(path)

    def crop(self, path: Path) -> dict[str, float] | None:
        """Classify a file that is one face."""
        return None

    def video(self, path: Path) -> Iterator[list[Face]]:
        """The faces of each frame."""
        import cv2

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "frame.jpg"
            for frame in frames_of(path):
                cv2.imwrite(str(file), frame)
                yield self._ask(file)

    def _ask(self, path: Path) -> list[Face]:
        assert self.process.stdin
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise ValueError(answer["error"])
        return [Face(face["box"], named(face["probabilities"])) for face in answer["faces"]]

    def _answer(self) -> Any:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("the Node process ended")
