"""`tombola data`: the commands that get and check data sets."""

import typer

from tombola.cli.data import check as data_check
from tombola.cli.data import get as data_get

app = typer.Typer(
    help="Get and check data sets.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@app.callback()
def data() -> None:
    """Get and check data sets."""


app.command("get")(data_get.data_get)
app.command("check")(data_check.data_check)
