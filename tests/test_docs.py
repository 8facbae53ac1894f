"""Pages: the names in snippets are defined, commands and options exist, links lead somewhere."""

from __future__ import annotations

import ast
import builtins
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

from mien.cli.commands import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")], key=lambda p: p.name
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(page.read_text("utf-8")) if name == language]


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """The command that the words after ``mien`` call, and its options."""
    command = typer.main.get_command(app)
    path = ["mien"]
    while hasattr(command, "commands"):
        name = next((word for word in words if not word.startswith("-")), "")
        if name not in command.commands and path[-1] == "batch":
            words, name = ["run", *words], "run"  # the usual command of the group
        if name not in command.commands:
            break
        words = words[words.index(name) + 1 :]
        command, path = command.commands[name], [*path, name]
    return " ".join(path), {o for parameter in command.params for o in parameter.opts} | {"--help"}


def called(page: Path) -> Iterator[list[str]]:
    """The words of each ``mien`` command of a page."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].split("/")[-1] == "mien":
                yield words[1:]


@page
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in called(page):
        command, known = options_of(words)
        used = {word.split("=")[0] for word in words if re.match(r"-\w$|--\w", word)}
        assert command != "mien" or used <= {"--help", "--version"}, words
        assert used <= known, f"{command} has no {used - known}"


@page
def test_snippets_are_whole(page: Path) -> None:
    tree = ast.parse("\n".join(blocks(page, "python")))
    defined = set(dir(builtins))
    used = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing, f"{node.module} has no {missing}"
            defined |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.Name):
            used[node.id] = node.lineno
            if isinstance(node.ctx, ast.Store):
                defined.add(node.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "mien":
            assert node.attr == "testing" or hasattr(import_module("mien"), node.attr), node.attr
    assert set(used) <= defined, f"undefined: {sorted(set(used) - defined)}"


@page
def test_links_lead_somewhere(page: Path) -> None:
    local = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing
