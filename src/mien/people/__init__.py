"""Identities: clustering of tracks across cuts and videos, and enrollment of known faces."""
