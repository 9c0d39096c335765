"""`tombola generate`: pictures from random numbers, from latents or from a photo."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tombola.cli.ask.saving import SaveFolder
from tombola.cli.ask.streams import note, stop_signals_like_ctrl_c
from tombola.cli.options import Device, DeviceOption, MaxPixelsOption, ModelOption, ThreadsOption
from tombola.cli.shipped import model_or_shipped
from tombola.cli.table import GAP, counted, one_line
from tombola.errors import ModelError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tombola.runtime.tasks.generate.answer import Generated
    from tombola.runtime.tasks.generate.model import Generator

FRAMES_BETWEEN = 24  # about a second
DEFAULT_COUNT, DEFAULT_SMALL_COUNT = 64, 8


@dataclass(frozen=True)
class _Wish:
    """What is to be made: of a photo, of latents, or of random numbers."""

    count: int
    label: str | None
    seed: int
    temperature: float
    photo: Path | None
    mask: Path | None
    spread: float
    latents: Path | None
    max_pixels: int | None

    def pictures(self, generator: "Generator") -> "Iterator[Generated]":
        """Pictures, some at a time."""
        from tombola.runtime.pictures.picture import MAX_PIXELS

        if self.photo is not None:
            made = generator.variations(
                self.photo,
                self.count - 1,
                spread=self.spread,
                label=self.label,
                seed=self.seed,
                missing=self.mask,
                max_pixels=self.max_pixels or MAX_PIXELS,
            )
            height, width = made.size_hw
            seen = f"seen as {width}×{height}{' grey' if made.images_u8.shape[3] == 1 else ''} pixels"
            if made.names and self.label is None:
                seen += f", taken for {made.names[0]}, whose reconstruction is nearest (--label)"
            note(f"{self.photo}: {seen}")
            yield made
        elif self.latents is not None:
            yield from generator.decodings(read_latents(self.latents), label=self.label)
        else:
            yield from generator.samples(
                self.count, label=self.label, seed=self.seed, temperature=self.temperature
            )


def generate(
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            metavar="N",
            help="Make so many pictures.",
            show_default="64; 8 of a photo or for a film",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="All on one sheet: .png, .jpg, .webp or .bmp.",
            show_default="generated.png",
        ),
    ] = None,
    each: Annotated[
        Path | None,
        typer.Option("--each", metavar="DIR", help="Each picture to a file in this folder."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", "-l", metavar="NAME", help="The class to make.", show_default="all of them in turn"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="S", help="Same seed, same pictures.")] = 0,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", min=0.0, metavar="T", help="Below 1 pictures are more usual and less varied."
        ),
    ] = 1.0,
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate", help="A film that goes from picture to picture and back: .gif, .mp4, .webm."
        ),
    ] = False,
    photo: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PHOTO", help="Of a photo: what the model keeps of it, and pictures near that."
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="PICTURE",
            help="With --from: as large as the photo, light where it is to be filled in.",
        ),
    ] = None,
    spread: Annotated[
        float, typer.Option("--spread", min=0.0, max=1.0, metavar="S", help="With --from: how far from it.")
    ] = 0.5,
    latents: Annotated[
        Path | None,
        typer.Option("--latents", metavar="NPY", help="Of these numbers, [n, latents] as numpy saves them."),
    ] = None,
    model: ModelOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each picture, with its latents.")
    ] = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Make pictures, or from a photo others like it.

    Writes one sheet of all, a film with --interpolate, or with --each a file for each picture. The
    random numbers are the model's input: a seed gives the same pictures anywhere.

    \b
    Example:
      tombola generate -n 64 -o grid.png --seed 7
      tombola generate -n 100 --label bag --each bags
      tombola generate --model generator.onnx -n 8 --interpolate -o walk.gif
    """
    if photo is not None and latents is not None:
        raise typer.BadParameter("--from and --latents both say what to make pictures of; give one of them.")
    if mask is not None and photo is None:
        raise typer.BadParameter("--mask says what a photo lacks; give the photo by --from.")
    if latents is not None and (count is not None or temperature != 1):
        raise typer.BadParameter("--latents has a row for each picture; leave -n and --temperature out.")
    if photo is not None and temperature != 1:
        raise typer.BadParameter("--temperature is for random numbers; of --from a photo give --spread.")
    if interpolate and (each is not None or photo is not None or json):
        raise typer.BadParameter("--interpolate makes one film; leave --each, --from and --json out.")
    if output is None and each is None:
        output = Path("generated.gif" if interpolate else "generated.png")
    if count is None:
        count = DEFAULT_SMALL_COUNT if interpolate or photo is not None else DEFAULT_COUNT
    sources = [path for path in (photo, mask, latents, model) if path is not None]
    # numpy starts a thread for each core to multiply matrices; nothing here does, and they cost 40 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with stop_signals_like_ctrl_c():
        from tombola.runtime.load import load

        wish = _Wish(count, label, seed, temperature, photo, mask, spread, latents, max_pixels)
        places = _Places(output, None if each is None else SaveFolder(each, sources, "--each", "picture"))
        places.spare(sources)
        generator = load(model_or_shipped(model, "generate"), device.value, threads, task="generate")
        made = (
            _film(generator, wish, places) if interpolate else _pictures(generator, wish, places, json=json)
        )
        if not json:
            told = [one_line(str(path)) for path in (output, each) if path is not None]
            typer.echo(GAP.join([", ".join(told), counted(made, "picture"), f"on {generator.device}"]))


def _pictures(generator: "Generator", wish: _Wish, places: "_Places", *, json: bool) -> int:
    """Make them, write them, and say how many there are."""
    from json import dumps

    from tombola.runtime.pictures.output import save_picture
    from tombola.runtime.tasks.generate.answer import sheet_cells
    from tombola.runtime.tasks.generate.model import join

    kept: list[Generated] = []
    number = 0
    for some in wish.pictures(generator):
        if places.output is not None:
            sheet_cells(max(wish.count, number + len(some)), some.size_hw)  # refused before hours of work
            kept.append(some)
        for place, image_rgb_u8 in enumerate(some):
            facts = {"picture": number, **some.facts(place)}
            if places.folder is not None:
                path = places.folder.place(f"{number:06d}", ".png")
                facts["saved"] = str(save_picture(image_rgb_u8, path))
            if json:
                typer.echo(dumps(facts))
            number += 1
    if places.output is not None:
        join(kept).save(places.output)
    return number


def _film(generator: "Generator", wish: _Wish, places: "_Places") -> int:
    """Make a film of the way through the pictures, and say how many it leads through."""
    from tombola.runtime.tasks.generate.film import check_film_target, round_trip, save_film
    from tombola.runtime.tasks.generate.model import join

    assert places.output is not None
    check_film_target(places.output)
    label = wish.label
    if label is None and generator.is_conditional:
        label = generator.labels[0]
        note(f"all pictures of the film are of the class {label}; --label takes another")
    keys = join(list(replace(wish, label=label).pictures(generator)))
    way = round_trip(keys.latents, FRAMES_BETWEEN)
    frames = (frame for some in generator.decodings(way, label=label) for frame in some)
    save_film(frames, places.output)
    return len(keys)


@dataclass(frozen=True)
class _Places:
    """Where pictures are written: all on one sheet or in a film, each into a folder, or both."""

    output: Path | None
    folder: SaveFolder | None

    def spare(self, sources: list[Path]) -> None:
        """OutputError if a source lies where the sheet is to be written."""
        for source in sources:
            if self.output is not None and os.path.realpath(source) == os.path.realpath(self.output):
                raise OutputError(
                    f"{self.output}: the pictures would overwrite this source; give another -o."
                )


def read_latents(path: Path) -> "NDArray[np.floating]":
    """The array in a .npy file; ModelError where it is none."""
    import numpy as np

    try:
        # Read as pictures are made, and no larger than the file is, whatever it says of itself.
        latents = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise ModelError(f"--latents {path}: no such file.") from None
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"--latents {path}: is no array that numpy.save wrote ({error}).") from None
    if latents.dtype.kind not in "fiu":
        raise ModelError(f"--latents {path}: holds {latents.dtype}, not numbers.")
    return latents
