"""Drawing on images: boxes, captions, a margin of probabilities."""
