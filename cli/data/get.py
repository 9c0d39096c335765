"""`tombola data get`: well-known data sets and public weights, downloaded and held to their hashes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli import completion
from tombola.cli.sizes import size_text
from tombola.cli.table import table, terminal_columns
from tombola.terminal_line import TerminalLine

if TYPE_CHECKING:
    from tombola.train.download.get import Tell


def data_get(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The data set or the weights; --list shows them.",
            show_default=False,
            autocompletion=completion.data_names,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="The folder for its files.",
            show_default="data/NAME; for weights the user's cache",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Show data sets and weights, their sizes and rights.")
    ] = False,
) -> None:
    """Download a well-known data set, or the public weights of a backbone.

    Files that are there are left as they are; a download that broke off goes on where it was. Each file is
    held to its published hash, and archives are unpacked. Prints the lines that a recipe needs.

    \b
    Example:
      tombola data get fashion-mnist
      tombola data get efficientnet_lite0
    """
    if listed:
        typer.echo("\n".join(_list()))
        return
    if name is None:
        raise typer.BadParameter("NAME is missing; --list shows what there is.")
    from tombola.train.download.weights import is_kept

    line = TerminalLine(every_s=0.2, in_a_log_s=30.0)

    def tell(file: str, done: int, whole: int) -> None:
        line.show(f"{file}: {size_text(done)} of {size_text(whole)}")

    try:
        told = _get_weights(name, to, tell) if is_kept(name) else _get_data(name, to, tell)
    finally:
        line.clear()
    typer.echo(told, nl=False)


def _get_data(name: str, to: Path | None, tell: "Tell") -> str:
    from tombola.train.download.get import find, get

    data_set = find(name)
    folder = Path("data") / name if to is None else to
    get(data_set, folder, tell)
    # The whole path: a relative one would be meant from the recipe's folder.
    root, rights = (_toml(text) for text in (str(folder.resolve()), data_set.rights))
    recipe = f"[data]\nroot = {root}\nrights = {rights}\n{data_set.recipe}"
    return f"{data_set.name} is in {folder}. In a recipe:\n\n{recipe}"


def _get_weights(name: str, to: Path | None, tell: "Tell") -> str:
    from tombola.train.download.weights import WEIGHTS, weights_path
    from tombola.train.start.get_weights import get_weights

    weights = next(one for one in WEIGHTS if one.name == name)
    path = weights_path(name) if to is None else to / f"{name}.safetensors"
    get_weights(weights, path, tell)
    written = _toml(name if to is None else str(path.resolve()))
    recipe = f"[picture]\n{weights.picture}\n[start]\nweights = {written}\n"
    return f"{name} ({weights.rights}) is {path}. In a recipe:\n\n{recipe}"


def _toml(text: str) -> str:
    from json import dumps  # a JSON string is a TOML string

    return dumps(text, ensure_ascii=False)


def _list() -> list[str]:
    from tombola.train.download.catalogue import DATA_SETS
    from tombola.train.download.weights import WEIGHTS

    known = [(one.name, one.size_bytes, one.what, one.rights) for one in DATA_SETS]
    known += [(one.name, one.file.size_bytes, one.what, one.rights) for one in WEIGHTS]
    rows = [
        row
        for name, size_bytes, what, rights in known
        for row in ((name, size_text(size_bytes), what), ("", "", rights))
    ]
    lines = table(("name", "size", "what, and its rights"), rows, "<><", columns=terminal_columns())
    return [
        *lines,
        "",
        "Sizes are as published; what is downloaded is held to them and to the published SHA-256.",
    ]
