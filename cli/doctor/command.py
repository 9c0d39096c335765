"""`tombola doctor`: what is installed, what works, and the command that repairs what does not."""

import typer

from tombola.cli.table import terminal_columns


def doctor() -> None:
    """Look over this installation and say how to repair it.

    Versions, doubles, devices and their libraries, the model that ships, display, codecs, cameras.

    Each line says ok, absent (optional, nothing wrong) or BROKEN, with the command that repairs it.
    Exits 1 if something is broken. Changes nothing.

    \b
    Example:
      tombola doctor
    """
    from tombola.cli.doctor.checks import section
    from tombola.cli.doctor.checkup import checkup

    columns = terminal_columns()
    broken = 0
    for title, checks in checkup():
        typer.echo("\n".join(section(title, checks, columns=columns)))
        broken += sum(check.state == "broken" for check in checks)
    if broken:
        typer.echo(f"\n{broken} broken: run the commands above, then `tombola doctor` again.")
        raise typer.Exit(1)
    typer.echo("\nNothing is broken.")
