"""Hooks of the site (mkdocs.yml): what is made from the code, and links that leave ``docs``.

``<!-- commands -->`` becomes the help of every command, ``<!-- changelog -->`` the changelog.
A link to a file of the repository outside ``docs`` is an address where mkdocs.yml has a `repo_url`,
else the file's path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_NAME = ' aria-label="Search"'
_SEARCH = 'class="md-search" data-md-component="search" role="dialog"' + _NAME
_SHIM, _OWN_SHIM = "https://unpkg.com/iframe-worker/shim", "javascripts/iframe-worker.js"
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*src="?(?:https?:)?//[^>]*>"""
    r"""|<link[^>]*rel="?(?:stylesheet|preconnect)[^>]*href="?https?:[^>]*>"""
)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\.?/[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Fill in the marks of a page and redirect its links to files outside ``docs``."""
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", commands())
    if "<!-- changelog -->" in markdown:
        changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
        body = changelog.split("\n", 1)[1].replace("](docs/", "](")
        markdown = markdown.replace("<!-- changelog -->", body)
    folder = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent

    def redirected(match: re.Match[str]) -> str:
        text, link = match.groups()
        path = os.path.normpath(str(folder / link.split("#")[0]))
        if path.startswith("docs/"):
            return match.group(0)
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"
        return f"{text} (`{path}`)" if path not in text else text

    return _LINK.sub(redirected, markdown)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Name the search for screen readers, and take its script from the site itself.

    The theme does not do the first, and loads the script, which search needs where pages are
    opened from a folder, from another server.
    """
    local = "../" * page.file.dest_uri.count("/") + _OWN_SHIM
    output = output.replace(_SHIM, local)
    return output.replace(_SEARCH.removesuffix(_NAME), _SEARCH)


def on_post_template(output: str, **_: Any) -> str:
    """The same for the page of wrong addresses."""
    return output.replace(_SHIM, _OWN_SHIM)


def on_post_build(*, config: Any, **_: Any) -> None:
    """Refuse a site that loads anything from elsewhere."""
    for path in Path(config.site_dir).rglob("*.html"):
        for tag in _LOADED.findall(path.read_text("utf-8")):
            raise ValueError(f"{path.name} loads {tag}")


def commands() -> str:
    """The help of every command, as Markdown."""
    import typer

    from mien.cli.commands import app

    group = typer.main.get_command(app)
    return "\n\n".join(sections("mien", group))


def sections(name: str, command: Any) -> list[str]:
    """A command's help and those of its own commands."""
    context = command.make_context(name, [], resilient_parsing=True, max_content_width=88)
    context.terminal_width = 88
    level = "##" if len(name.split()) <= 2 else "###"
    found = [f"{level} {name}\n\n```text\n{command.get_help(context).strip()}\n```"]
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            found += sections(f"{name} {child}", below)
    return found
