"""Build sdist and wheel, check both, and try the wheel alone in an empty environment.

    make release-check

Prints the largest files of the wheel. Ends with 1 where something is wrong: twine's complaints,
a tag that is not the version, a wheel above PyPI's limit, a file that does not belong there, or a
wheel that cannot analyze a photo and a video.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MB = 100  # of a file on PyPI: https://docs.pypi.org/project-management/storage-limits/
OUTSIDE = ("tests", "scripts", "benchmarks", "docs", "examples")


def main() -> None:
    """Run every check in order."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    check_version(version)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "dist"
        run(sys.executable, "-m", "build", "--outdir", str(built), str(ROOT))
        sdist, wheel = next(built.glob("*.tar.gz")), next(built.glob("*.whl"))
        run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
        list_content(wheel)
        print(
            f"sdist {sdist.stat().st_size / 1e6:.1f} MB, wheel {wheel.stat().st_size / 1e6:.1f} MB"
        )
        try_wheel(wheel, Path(folder), version)
    print("ready to release", version)


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command; what it printed. A failure ends the check."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def check_version(version: str) -> None:
    """Tag, version and citation agree; without git or a tag, version and citation do."""
    if f"\nversion: {version}\n" not in (ROOT / "CITATION.cff").read_text("utf-8"):
        raise SystemExit(f"CITATION.cff is not of version {version}.")
    git = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD"]
    try:
        tags = subprocess.run(git, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        tags = []
    if tags and f"v{version}" not in tags:
        raise SystemExit(f"the tag is {tags[0]}, but pyproject.toml has version {version}.")


def list_content(wheel: Path) -> None:
    """Print the files of the wheel by size, and refuse what does not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        items = sorted(archive.infolist(), key=lambda item: -item.compress_size)
    for item in items[:15]:
        print(f"{item.compress_size / 1e6:8.2f} MB  {item.filename}")
    rest = sum(item.compress_size for item in items[15:])
    print(f"{rest / 1e6:8.2f} MB  {len(items) - 15} further files")
    strays = [item.filename for item in items if item.filename.split("/")[0] in OUTSIDE]
    if strays:
        raise SystemExit(f"the wheel has files that do not belong there: {strays[:5]}.")
    if wheel.stat().st_size > LIMIT_MB * 1e6:
        raise SystemExit(f"the wheel is larger than {LIMIT_MB} MB.")


def try_wheel(wheel: Path, folder: Path, version: str) -> None:
    """Install the wheel alone, and analyze the examples outside the repository."""
    place = folder / "environment"
    venv.create(place, with_pip=True)
    programs = place / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(programs / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    where = run(python, "-c", "import mien; print(mien.__file__, mien.__version__)", cwd=folder)
    if str(ROOT) in where or version not in where:
        raise SystemExit(f"the wheel is not what was imported: {where}")
    examples = ROOT / "examples"
    mien = str(programs / "mien")
    run(mien, "demo", "-o", str(folder / "demo"), cwd=folder)
    for name in ("photos/portrait.jpg", "sessions/P01_pre.mp4"):
        table = str(folder / f"{Path(name).stem}.parquet")
        run(mien, "analyze", str(examples / name), "-o", table, cwd=folder)
        run(mien, "export", table, "-o", table.replace(".parquet", ".csv"), cwd=folder)
    run(mien, "report", str(folder / "P01_pre.parquet"), cwd=folder)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    print(f"the wheel alone analyzes a photo and a video; its environment has {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
