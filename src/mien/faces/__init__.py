"""Faces in an image: geometry, crops, image quality, detectors."""
