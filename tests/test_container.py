"""Dockerfile, compose.yaml and their check: what they name exists, and nothing is left out."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from mien.cli.commands import app

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def check() -> ModuleType:
    path = ROOT / "scripts" / "container_check.py"
    spec = importlib.util.spec_from_file_location("container_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["container_check"] = module
    spec.loader.exec_module(module)
    return module


def options_exist(words: list[str]) -> None:
    """The words are a command of mien with options that it has."""
    command = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, words


def test_the_check_does_every_step_of_the_dockerfile(check: ModuleType) -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    built, last = check.stages(text)
    steps = [step for stage in (built, last) for step in stage.steps]
    words = re.findall(r"^(COPY|RUN|WORKDIR)\b", text, re.MULTILINE)
    assert [word for word, _ in steps] == words
    assert any(".[serve]" in rest for _, rest in built.steps)
    assert f"--from={built.name} " in " ".join(rest for _, rest in last.steps)
    assert last.run["USER"] not in ("root", "0")
    assert f"useradd --uid 10001 --no-create-home {last.run['USER']}" in last.steps[0][1]
    assert last.variables["PATH"].startswith("/opt/mien/bin:")
    assert json.loads(last.run["ENTRYPOINT"]) == ["mien"]
    options_exist(json.loads(last.run["CMD"]))
    assert "/readyz" in last.healthcheck[-1]
    compile(last.healthcheck[-1], "HEALTHCHECK", "exec")
    with pytest.raises(ValueError, match="ADD"):
        check.stages("FROM a\nADD b c\n")


def test_the_image_gets_what_it_copies_and_nothing_else(check: ModuleType) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    built = check.stages((ROOT / "Dockerfile").read_text("utf-8"))[0]
    copied = [w for word, rest in built.steps if word == "COPY" for w in rest.split()[:-1]]
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch.fnmatch(name, ".git*") for name in copied)


def test_the_commands_of_compose_exist() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    commands = [json.loads(found) for found in re.findall(r"command: (\[.*\])", text)]
    assert [c[0] for c in commands if c[0] not in ("serve", "worker")] == ["redis-server"]
    for words in commands:
        if words[0] != "redis-server":
            options_exist(words)
    assert "read_only: true" in text
    assert "cap_drop: [ALL]" in text
    assert shlex.quote("MIEN_TOKEN") in text
