"""How commands show themselves: help, headings, other names, and suggestions."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

#: What people type for a command, by the command that does it.
_SYNONYMS = {
    "mien analyze": "analyse detect predict run infer recognize classify photo image video csv",
    "mien watch": "webcam camera cam live stream",
    "mien export": "convert csv excel subtitles save vtt eaf",
    "mien report": "html page plot graph curves",
    "mien summarize": "summarise summary highlights clips gif",
    "mien view": "show open browse play",
    "mien serve": "server service api http rest web",
    "mien people": "who identify identity cluster track recognise",
    "mien evaluate": "eval test measure benchmark accuracy",
    "mien finetune": "fine-tune tune adapt",
    "mien models list": "list ls",
    "mien models pull": "download pull fetch install",
}

_COLUMN = len("train-engagement")  # so that all panels are in line


class Command(TyperCommand):
    """A command whose help calls arguments by their names alone, without Python types."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, a section each."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is None:
                continue
            if param.param_type_name == "argument":
                sections["Arguments"].append((getattr(param, "metavar", None) or "", record[1]))
            else:
                sections["Options"].append(record)
        for name, rows in sections.items():
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)


class CommandGroup(TyperGroup):
    """Commands under the headings of their panels."""

    #: Other names of commands that work like them.
    aliases: ClassVar[dict[str, str]] = {}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name or alias."""
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments call; an unknown one fails with a suggestion."""
        unknown = ctx.parent is None and self.get_command(ctx, args[0]) is None
        if unknown and (suggestion := _suggestion(args[0])):
            ctx.fail(f"No such command {args[0]!r}. Did you mean: {suggestion}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names of the commands and what they do, a section per panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            panel = getattr(command, "rich_help_panel", None)
            text = command.get_short_help_str(60)
            panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append(
                (name.ljust(_COLUMN), text)
            )
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


class ModelsGroup(CommandGroup):
    """The commands of `mien models`, also under the names that package managers use."""

    _aliases: ClassVar = {"list": "ls", "info": "show", "pull": "download fetch get"}
    _aliases |= {"remove": "rm delete uninstall"}
    aliases: ClassVar[dict[str, str]] = {
        word: name for name, words in _aliases.items() for word in words.split()
    }


class BatchGroup(CommandGroup):
    """The commands of `mien batch`; anything else is an input of `mien batch run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the usual command before the first input."""
        helps = {"-h", "--help"} & set(args[:1])
        if args and args[0] not in self.commands and not helps:
            args = ["run", *args]
        return super().parse_args(ctx, args)


def _suggestion(word: str) -> str:
    """What somebody may have meant who typed this for a command; empty where nobody knows."""
    from mien.media.formats import kind_by_name

    for command, words in _SYNONYMS.items():
        if word.lower() in words.split():
            return command
    looks_like_input = kind_by_name(word) is not None or "://" in word
    if looks_like_input or os.path.exists(word):
        return f"mien analyze {word}"
    return ""
