"""The commands of `tombola`, each imported when it is run or its help is asked for."""

from importlib import import_module
from typing import Any

import typer

from tombola.cli.polite import PoliteGroup

# Name -> module and what it has there: a function, or a Typer with commands of its own.
COMMANDS = {
    "detect": ("ask.detect", "detect"),
    "classify": ("ask.classify", "classify"),
    "webcam": ("ask.webcam", "webcam"),
    "train": ("training.train", "train"),
    "search": ("training.search", "search"),
    "report": ("training.report", "report"),
    "evaluate": ("training.evaluate", "evaluate"),
    "export": ("model.export", "export"),
    "verify": ("model.verify", "verify"),
    "inspect": ("model.inspect", "inspect"),
    "bench": ("model.bench", "bench"),
    "doctor": ("doctor.command", "doctor"),
    "data": ("data.command", "app"),
}


class CommandGroup(PoliteGroup):
    """The group of COMMANDS. To import them all takes longer than to detect in a picture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update(dict.fromkeys(COMMANDS))  # type: ignore[arg-type]  # names, to suggest one

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, what = COMMANDS[cmd_name]
        found = getattr(import_module(f"tombola.cli.{module}"), what)
        if not isinstance(found, typer.Typer):
            function = found
            found = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
            found.command(cmd_name)(function)
        return typer.main.get_command(found)
