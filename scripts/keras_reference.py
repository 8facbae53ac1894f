"""Outputs of a small MobileNet in Keras: the golden file of the converter's test.

    python scripts/keras_reference.py       # in an environment with keras and a backend

Writes ``tests/golden/keras_mobilenet.json``: the configuration that Keras stores, the names and
shapes of the weights (their values are drawn again in the test, from the same seed), and the
outputs for two images.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.keras_weights import random_images, random_weights  # noqa: E402

SIZE = 64


def main() -> None:
    """Build, save, read back and run the network."""
    import keras

    base: Any = keras.applications.MobileNet(
        (SIZE, SIZE, 3), alpha=0.25, include_top=False, weights=None, pooling="avg"
    )
    features = keras.layers.Dense(16, activation="relu", name="feats")(base.output)
    scores = keras.layers.Dense(7, activation="softmax", name="emotion_preds")(features)
    network = keras.Model(base.input, [scores])
    shapes = {weight.path: list(weight.shape) for weight in network.weights}
    network.set_weights(list(random_weights(shapes).values()))
    expected = np.asarray(network.predict(random_images(SIZE), verbose=0))
    inside = keras.Model(base.input, features).predict(random_images(SIZE), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        network.save(path)
        with h5py.File(path) as file:
            config = json.loads(file.attrs["model_config"])
            stored = {
                layer: [n if isinstance(n, str) else n.decode() for n in names]
                for layer in file["model_weights"]
                if len(names := file["model_weights"][layer].attrs.get("weight_names", ()))
            }
    golden = {
        "keras": keras.__version__,
        "config": config,
        "stored": stored,
        "shapes": shapes,
        "scores": np.asarray(expected).tolist(),
        "embedding": np.asarray(inside).tolist(),
    }
    target = ROOT / "tests" / "golden" / "keras_mobilenet.json"
    target.write_text(json.dumps(golden) + "\n", encoding="utf-8")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
