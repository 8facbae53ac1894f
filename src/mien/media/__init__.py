"""Where pictures come from; every source is an iterable of `mien.types.Frame`."""
