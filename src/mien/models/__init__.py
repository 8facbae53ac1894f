"""Networks in general: cards, ONNX sessions, graphs. Nothing here knows about faces."""
