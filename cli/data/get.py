"""`tombola data get`: well-known data sets, downloaded and held to their hashes."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.sizes import size_text
from tombola.cli.table import table, terminal_columns
from tombola.terminal_line import TerminalLine


def data_get(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The data set; --list shows them.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="The folder for its files.", show_default="data/NAME"),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the data sets, their sizes and rights.")
    ] = False,
) -> None:
    """Download a well-known data set.

    Files that are there are left as they are; a download that broke off goes on where it was. Each file is
    held to its published hash, and archives are unpacked. Prints the lines that a recipe needs.

    \b
    Example:
      tombola data get fashion-mnist
    """
    if listed:
        typer.echo("\n".join(_list()))
        return
    if name is None:
        raise typer.BadParameter("NAME is missing; --list shows the data sets.")
    from tombola.train.data.download.get import find, get

    data_set = find(name)
    folder = Path("data") / name if to is None else to
    line = TerminalLine(every_s=0.2, in_a_log_s=30.0)

    def tell(file: str, done: int, whole: int) -> None:
        line.show(f"{file}: {size_text(done)} of {size_text(whole)}")

    try:
        get(data_set, folder, tell)
    finally:
        line.clear()
    typer.echo(f"{data_set.name} is in {folder}. In a recipe:\n")
    from json import dumps  # a JSON string is a TOML string

    # The whole path: a relative one would be meant from the recipe's folder.
    root, rights = (dumps(text, ensure_ascii=False) for text in (str(folder.resolve()), data_set.rights))
    typer.echo(f"[data]\nroot = {root}\nrights = {rights}\n{data_set.recipe}", nl=False)


def _list() -> list[str]:
    from tombola.train.data.download.catalogue import DATA_SETS

    rows = [
        row
        for one in DATA_SETS
        for row in ((one.name, size_text(one.size_bytes), one.what), ("", "", one.rights))
    ]
    return table(("name", "size", "what, and its rights"), rows, "<><", columns=terminal_columns())
