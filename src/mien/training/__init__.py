"""Training: the only room that knows PyTorch; needs the extra ``train``."""

import os

from mien.hub.cache import cache_folder

# PyTorch makes the folder of its compiler when it is imported: not among the temporary files.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torch"))
