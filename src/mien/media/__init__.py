"""Reading of images, videos and cameras; every source is an iterable of `mien.types.Frame`."""
