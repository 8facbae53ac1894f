"""Results over time: tracks, smoothing, segments, groups, export."""
