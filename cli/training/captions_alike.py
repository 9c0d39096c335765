"""python -m tombola.cli.training.captions_alike: a captioner's file beside PyTorch, in words and in time."""

from pathlib import Path
from typing import Annotated

import typer

from tombola.cli.polite import run_politely
from tombola.cli.table import table, terminal_columns


def captions_alike(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")],
    model_file: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Its file; by --full-precision for its very weights.")
    ],
    pictures: Annotated[int, typer.Option("--pictures", min=1, help="Test pictures, evenly taken.")] = 200,
) -> None:
    """How many captions are the same word for word at beams 1, 3 and 5, how far scores are apart, and how
    long a caption takes in the file, in PyTorch, and in the file without its search (one word, one beam).
    All on one thread, in turns; medians."""
    from tombola.export.captions_alike import compare_captions

    rows = [
        [
            str(one.beam),
            f"{one.same} of {one.pictures}",
            f"{one.apart:.1e}",
            f"{one.file_ms:.1f}",
            f"{one.torch_ms / one.file_ms:.2f}",
            f"{one.file_ms / one.one_word_ms:.2f}",
        ]
        for one in compare_captions(run, model_file, pictures)
    ]
    header = ("beam", "same words", "scores apart", "file ms", "PyTorch / file", "file / one word")
    typer.echo("\n".join(table(header, rows, ">" * len(header), columns=terminal_columns())))


if __name__ == "__main__":
    run_politely(captions_alike)
