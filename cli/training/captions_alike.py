"""python -m tombola.cli.training.captions_alike: a captioner's file beside PyTorch, in words and in time."""

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer

from tombola.cli.table import table, terminal_columns

BEAMS = (1, 3, 5)


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
    import torch

    from tombola.runtime.load import load
    from tombola.train.networks.caption.search import Options
    from tombola.train.tasks.caption.task import caption_maps, load_split
    from tombola.train.tasks.table import load_network

    torch.set_num_threads(1)
    network, recipe = load_network(run)
    answer, picture_input = recipe.answer, recipe.picture.as_input()
    captioner = load(model_file, "cpu", threads=1, task="caption")
    data = load_split(recipe, "test")
    chosen = [place * len(data) // pictures for place in range(min(pictures, len(data)))]
    images = [data.picture(place, picture_input.shrink).image_rgb_u8 for place in chosen]

    rows = []
    for beam in BEAMS:
        same, apart = 0, 0.0
        taken_ms: dict[str, list[float]] = {"file": [], "PyTorch": [], "encoder": []}
        options = Options.of(beam, answer.max_length, answer.length_power, answer.no_repeat)
        for image in images:
            started = perf_counter()
            said = captioner(image, beam_size=beam)
            taken_ms["file"].append(1000 * (perf_counter() - started))
            started = perf_counter()
            with torch.inference_mode():
                found = caption_maps(
                    network, network.encoder(picture_input(torch.from_numpy(image))), options
                )
            taken_ms["PyTorch"].append(1000 * (perf_counter() - started))
            started = perf_counter()
            captioner(image, beam_size=1, max_length=1)
            taken_ms["encoder"].append(1000 * (perf_counter() - started))
            words = [recipe.data.classes[token] for token in found.tokens[0, 0].tolist() if token]
            if list(said[0].words) == words:
                same += 1
                apart = max(apart, abs(said[0].score - float(found.scores[0, 0])))
        file_ms, torch_ms, encoder_ms = (median(taken_ms[name]) for name in ("file", "PyTorch", "encoder"))
        rows.append(
            [
                str(beam),
                f"{same} of {len(images)}",
                f"{apart:.1e}",
                f"{file_ms:.1f}",
                f"{torch_ms / file_ms:.2f}",
                f"{file_ms / encoder_ms:.2f}",
            ]
        )
    header = ("beam", "same words", "scores apart", "file ms", "PyTorch / file", "file / encoder")
    typer.echo("\n".join(table(header, rows, ">" * len(header), columns=terminal_columns())))


if __name__ == "__main__":
    typer.run(captions_alike)
