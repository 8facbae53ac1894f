"""Training: the only room that imports PyTorch and scikit-learn; needs an extra."""

import os

import onnx  # noqa: F401  every trainer writes a file: better missed at once than at the end

from mien.hub.cache import cache_folder

# PyTorch makes the folder of its compiler when it is imported: not among the temporary files.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torch"))
