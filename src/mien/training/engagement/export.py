"""Several single-attention networks as one ``.onnx`` file with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.engagement import EngagementCard
from mien.models.graph import Graph, write_model
from mien.types import FloatArray


@dataclass(frozen=True)
class Networks:
    """Weights of m networks over f numbers a moment (twice the features) with h hidden units.

    Attributes:
        mean, scale: ``(f,)``; the networks take ``(value - mean) / scale``.
        attention: ``(m, f)``.
        hidden, hidden_bias: ``(m, f, h)``, ``(m, h)``.
        last, last_bias: ``(m, h)``, ``(m,)``.
    """

    mean: FloatArray
    scale: FloatArray
    attention: FloatArray
    hidden: FloatArray
    hidden_bias: FloatArray
    last: FloatArray
    last_bias: FloatArray


def write_networks(networks: Networks, card: EngagementCard, path: Path) -> None:
    """Write the networks and their card, the large weights in float16, computed in float32.

    The input is ``(n, steps, f)``, the output ``engagement`` ``(n, m, 1)``.
    """
    graph = Graph()
    graph.input("windows", ["n", "steps", len(networks.mean)])
    graph.add("Sub", ["windows", graph.weight("mean", networks.mean)], "shifted")
    graph.add("Div", ["shifted", graph.weight("scale", networks.scale)], "scaled")
    graph.add("MatMul", ["scaled", graph.weight("attention", networks.attention.T)], "scores")
    graph.add("Softmax", ["scores"], "shares", axis=1)
    graph.add("Transpose", ["shares"], "of_moments", perm=[0, 2, 1])
    graph.add("MatMul", ["of_moments", "scaled"], "contexts")
    graph.add("Transpose", ["contexts"], "by_network", perm=[1, 0, 2])
    graph.add("MatMul", ["by_network", graph.half("hidden", networks.hidden)], "inner")
    bias = graph.weight("hidden_bias", networks.hidden_bias[:, None])
    graph.add("Relu", [graph.add("Add", ["inner", bias], "biased")], "outer")
    graph.add("MatMul", ["outer", graph.weight("last", networks.last[:, :, None])], "sums")
    bias = graph.weight("last_bias", networks.last_bias[:, None, None])
    graph.add("Sigmoid", [graph.add("Add", ["sums", bias], "logits")], "levels")
    graph.add("Transpose", ["levels"], "engagement", perm=[1, 0, 2])
    graph.output("engagement", ["n", len(networks.attention), 1])
    write_model(graph.model(card.name), path, card.metadata)
