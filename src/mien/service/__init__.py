"""The HTTP service of ``mien serve``: images, video jobs and live streams; needs an extra."""
