"""Outputs of a small single-attention network in Keras: the golden file of the converter's test.

    python scripts/keras_engagement_reference.py    # in an environment with tf_keras and h5py

Builds the network of the literature in Keras 2, which the published file was written with, and
writes ``tests/golden/keras_engagement.json``: names and shapes of the weights as a weights-only
file stores them (their values are drawn again in the test), the configuration of a whole file
without the byte code of its Lambda layer, and the outputs for two windows. It also checks that a
weights-only file of the real sizes is as long as the published one.
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

from helpers.keras_weights import random_weights, random_windows  # noqa: E402

STEPS, FEATURES, HIDDEN = 12, 10, 6
PUBLISHED = 5_282_144  # bytes


def summed(values: Any) -> Any:
    """What the Lambda layer does."""
    import tensorflow as tf

    return tf.reduce_sum(values, axis=1)


def build(steps: int, features: int, hidden: int) -> Any:
    """The network, layer by layer as the authors name them."""
    from tf_keras import Model, layers

    seen = layers.Input(shape=(steps, features), name="image_set")
    score = layers.Dense(1, activation="linear", name="e")(seen)
    share = layers.Activation("softmax", name="alpha")(
        layers.Reshape([steps], name="alignment")(score)
    )
    repeated = layers.RepeatVector(features, name="repeat")(share)
    weighted = layers.Multiply(name="c")(
        [seen, layers.Permute([2, 1], name="alpha_repeated")(repeated)]
    )
    context = layers.Lambda(summed, output_shape=(features,), name="context")(weighted)
    inner = layers.Dense(hidden, activation="relu", name="hidden_FC")(context)
    return Model(seen, layers.Dense(2, activation="softmax", name="dense")(inner))


def main() -> None:
    """Build, save, read back and run the network."""
    import tf_keras

    network = build(STEPS, FEATURES, HIDDEN)
    shapes = {weight.name: list(weight.shape) for weight in network.weights}
    network.set_weights(list(random_weights(shapes).values()))
    with tempfile.TemporaryDirectory() as folder:
        whole, weights = Path(folder) / "whole.h5", Path(folder) / "weights.h5"
        network.save(whole)
        network.save_weights(weights)
        with h5py.File(whole) as file:
            config = json.loads(file.attrs["model_config"])
        stored: list[str] = []
        with h5py.File(weights) as file:
            file.visititems(
                lambda name, item: stored.append(name) if isinstance(item, h5py.Dataset) else None
            )
        build(128, 2560, 512).save_weights(weights)
        size = weights.stat().st_size
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Lambda":
            layer["config"]["function"] = "left out"
    golden = {
        "keras": tf_keras.__version__,
        "bytes_at_real_size": size,
        "config": config,
        "stored": sorted(stored),
        "shapes": shapes,
        "engagement": network.predict(random_windows(STEPS, FEATURES), verbose=0).tolist(),
    }
    target = ROOT / "tests" / "golden" / "keras_engagement.json"
    target.write_text(json.dumps(golden) + "\n", encoding="utf-8")
    print(target, target.stat().st_size, np.ptp(golden["engagement"], axis=1))
    print("as long as the published file:", size == PUBLISHED)


if __name__ == "__main__":
    main()
