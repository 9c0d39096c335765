"""`tombola data`: the commands that get, check, show and search data sets."""

import typer

from tombola.cli.data import check as data_check
from tombola.cli.data import get as data_get
from tombola.cli.data import propose as data_propose
from tombola.cli.data import show as data_show

app = typer.Typer(
    help="Get, check, show and search data sets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def data() -> None:
    """Get, check, show and search data sets."""


app.command("get")(data_get.data_get)
app.command("check")(data_check.data_check)
app.command("show")(data_show.data_show)
app.command("propose")(data_propose.data_propose)
