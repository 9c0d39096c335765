"""python -m tombola.cli.training.clips: a small set of clips whose classes, or captions, only the order of
frames tells."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.folder import make_folder
from tombola.cli.polite import run_politely


def clips(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    count: Annotated[int, typer.Option("--clips", min=24, help="For training; a half more beside.")] = 600,
    frames: Annotated[bool, typer.Option("--frames", help="With a label for each frame.")] = False,
    captions: Annotated[bool, typer.Option("--captions", help="With a sentence for each clip.")] = False,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="The frames of each clip in random order, as a control.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn at random.")] = 0,
) -> None:
    """Draw shapes that move, grow or shrink as animated GIFs, with --frames as WebPs; and write a recipe for
    them, DIR/clips.toml. With --captions they do one thing and then another, and a recipe for a captioner is
    written, DIR/captions.toml."""
    from tombola.train.studies.moving_shapes import write_set
    from tombola.train.studies.told_shapes import write_told_set

    if captions and frames:
        raise typer.BadParameter("--captions and --frames are of two tasks; take one.")
    make_folder(out, "--out")
    lines = (
        write_told_set(out, count, seed, shuffled=shuffled)
        if captions
        else write_set(out, count, seed, frames=frames, shuffled=shuffled)
    )
    for line in lines:
        typer.echo(line)


if __name__ == "__main__":
    run_politely(clips)
