"""Contrast of colors, as the web's guidelines measure it."""

from __future__ import annotations


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    lights = []
    for color in (a, b):
        parts = [c / 255 for c in color]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
