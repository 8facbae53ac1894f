"""Converters of published weights to ONNX."""
