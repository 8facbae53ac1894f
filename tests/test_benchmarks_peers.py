"""The comparison with other packages: a page made of results, adapters with one contract."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "peers"


def part(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(f"peers.{name}")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_page_is_what_the_stored_results_give() -> None:
    page = part("page")
    assert page.PAGE.read_text() == page.text(page.stored())


def test_every_peer_has_results_pins_and_an_adapter() -> None:
    page, peers = part("page"), part("entries").PEERS
    assert set(page.stored()) == set(peers)
    for name in peers:
        assert (FOLDER / "adapters" / f"{name.replace('-', '_')}.py").is_file()
        assert list((FOLDER / "pins").glob(f"{name}.*"))


def test_results_name_no_path_of_the_machine() -> None:
    for file in (FOLDER / "results").rglob("*.json"):
        assert not re.search(r"/(work|home|root|tmp|Users)/", file.read_text()), file.name


@pytest.mark.parametrize("name", sorted(part("entries").PEERS))
def test_adapters_keep_the_contract(name: str) -> None:
    adapter = part("child").adapter(name)
    for method in ("load", "image", "crop", "video"):
        own = inspect.signature(getattr(adapter, method))
        assert list(own.parameters) == ([] if method == "load" else ["path"])
    assert adapter.package == part("entries").PEERS[name].package


FAKE = """
from peers.adapters.contract import Face

class Adapter:
    package = "fake"
    def load(self): pass
    def image(self, path):
        if path.suffix != ".png":
            raise ValueError(f"{path} is no image")
        return [Face([0, 0, 8, 8], {"happiness": 1.0})]
    def crop(self, path): return {"happiness": 0.75, "neutral": 0.25}
    def video(self, path):
        for number in range(4):
            yield [Face([0, 0, 8, 8], {"happiness": 1.0}, person=number // 2)]
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A copy of the process that measures, with a peer of this test."""
    (tmp_path / "peers/adapters").mkdir(parents=True)
    (tmp_path / "peers/adapters/fake.py").write_text(FAKE)
    for name in ("__init__.py", "child.py", "adapters/__init__.py", "adapters/contract.py"):
        (tmp_path / "peers" / name).write_text((FOLDER / name).read_text())
    work = tmp_path / "media"
    (work / "crops").mkdir(parents=True)
    (work / "crops/a.png").touch()
    (work / "photos.json").write_text(json.dumps([str(work / "one.png"), str(work / "two.png")]))
    return tmp_path


def run(fake: Path, phase: str) -> Any:
    call = [sys.executable, str(fake / "peers/child.py"), "fake", phase, str(fake / "media")]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fake_peer_runs_through_every_phase(fake: Path) -> None:
    metrics = part("metrics")
    assert run(fake, "photo")["faces"] == 1
    photos = run(fake, "photos")["photos"]
    rows = [
        {"file": "photos/one.png", "faces": "1", "label": "happiness", "label_sure": "yes"},
        {"file": "photos/two.png", "faces": "0", "label": "", "label_sure": "yes"},
    ]
    found = metrics.photo_figures(photos, rows)
    assert found == {"faces": 1, "found": 1, "false": 1, "labeled": 1, "right": 1}
    crops = run(fake, "crops")["crops"]
    figures = metrics.crop_figures(crops, {"a.png": ("neutral", {"happiness": 5, "neutral": 5})})
    assert (figures["right"], figures["ece"]) == (0, 0.25)
    assert figures["kl"] == pytest.approx(0.1438, abs=1e-4)
    assert run(fake, "video")["frames"] == 4
    assert metrics.people_figures(run(fake, "people")["frames"]) == {"frames": 4, "ids": 2}
    answers = run(fake, "broken")["answers"]
    assert answers["text.jpg"] == "ValueError: text.jpg is no image"


def test_a_peer_that_cannot_load_is_a_result(fake: Path) -> None:
    broken = FAKE.replace("def load(self): pass", "def load(self): raise OSError('no  network')")
    (fake / "peers/adapters/fake.py").write_text(broken)
    assert run(fake, "photo") == {"error": "OSError: no network"}
