"""The commands of `tombola`, each imported when it is run or its help is asked for."""

from typing import Any

import typer

from tombola.cli.polite import PoliteGroup
from tombola.cli.tasks import TASKS, Place, fetch

# Name -> where it is: a function, or a Typer with commands of its own. Those of the tasks come before them.
COMMANDS: dict[str, Place] = {
    "webcam": ("tombola.cli.ask.webcam", "webcam"),
    "init": ("tombola.cli.training.init", "init"),
    "recipe": ("tombola.cli.training.recipe", "recipe"),
    "train": ("tombola.cli.training.train", "train"),
    "search": ("tombola.cli.training.search", "search"),
    "prune": ("tombola.cli.training.prune", "prune"),
    "report": ("tombola.cli.training.report", "report"),
    "evaluate": ("tombola.cli.evaluate.evaluate", "evaluate"),
    "export": ("tombola.cli.model.export", "export"),
    "verify": ("tombola.cli.model.verify", "verify"),
    "inspect": ("tombola.cli.model.inspect", "inspect"),
    "bench": ("tombola.cli.model.bench", "bench"),
    "doctor": ("tombola.cli.doctor.command", "doctor"),
    "data": ("tombola.cli.data.command", "app"),
}


class CommandGroup(PoliteGroup):
    """The group of all commands. To import them all takes longer than to detect in a picture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update(dict.fromkeys(_commands()))  # type: ignore[arg-type]  # names, to suggest one

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name, None where there is none."""
        places = _commands()
        if cmd_name not in places:
            return None
        found = fetch(places[cmd_name])
        if not isinstance(found, typer.Typer):
            function = found
            found = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
            found.command(cmd_name)(function)
        return typer.main.get_command(found)


def _commands() -> dict[str, Place]:
    return {**{task: row.command for task, row in TASKS.items()}, **COMMANDS}
