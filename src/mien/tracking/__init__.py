"""Tracks: which face is the same person from frame to frame, and adaptive frame sampling."""
