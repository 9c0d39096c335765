"""`tombola data check`: what is wrong with a data set, before an hour of training is lost on it."""

import typer

app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
@app.command()
def check() -> None:
    "stub"
