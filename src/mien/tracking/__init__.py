"""Tracking of people from frame to frame, and adaptive frame sampling."""
