"""Labeled images of faces, read from whatever layout they lie in.

`load_faces` reads any of them as `LabelledFaces`, `duplicates` finds the photos that occur twice,
`split_faces` makes splits where the data has none. `load_ferplus` reads the splits of FER+ that
mien trains on straight into arrays.
"""

from mien.datasets.duplicates import Duplicates, duplicates
from mien.datasets.faces import Broken, LabelledFaces, VotedFaces
from mien.datasets.fer import SPLITS, load_ferplus, read_list
from mien.datasets.loading import load_faces
from mien.datasets.records import NUMBERINGS
from mien.datasets.splits import split_faces

__all__ = [
    "NUMBERINGS",
    "SPLITS",
    "Broken",
    "Duplicates",
    "LabelledFaces",
    "VotedFaces",
    "duplicates",
    "load_faces",
    "load_ferplus",
    "read_list",
    "split_faces",
]
