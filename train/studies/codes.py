"""What a code of few numbers keeps of a picture: the plane of two latents, and decibels by bytes."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tombola.errors import RecipeError
from tombola.train.drawing.latent_plane import Plane, draw_planes
from tombola.train.metrics.likeness import psnr_db
from tombola.train.networks.axis import Axes
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Vae, VaeSettings
from tombola.train.run.folder import write_atomic
from tombola.train.studies.minimise import minimise
from tombola.train.tasks.generate.autoencoder_objective import AutoencoderObjective
from tombola.train.tasks.generate.exhibits import to_pictures
from tombola.train.tasks.generate.recipe import GenerateRecipe
from tombola.train.tasks.generate.task import GenerateTask
from tombola.train.tasks.generate.vae_objective import VaeObjective
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe

WIDTHS = (256, 128)
PICTURES, JUDGED = 10_000, 2_000
PLANE_STEPS, STEPS, BATCH, RATE = 2000, 1000, 100, 1e-3
LATENTS = (2, 4, 8, 16, 32)
ACROSS, REACH = 15, 2.5  # pictures on a plane, and deviations from its middle
LEVELS = 255  # steps between the least and the largest number of a latent: a byte each


@dataclass(frozen=True)
class Row:
    """Decibels of held-out pictures of which `bytes` are kept, one a number."""

    code: str
    bytes: int
    psnr_db: float


def trained(
    kind: type[Autoencoder] | type[Vae], images: Tensor, latents: int, steps: int
) -> Autoencoder | Vae:
    """A dense one, trained on pictures float [n, c, h, w] of 0..1."""
    shape = PictureShape(*images.shape[1:])
    network: Autoencoder | Vae
    objective: AutoencoderObjective | VaeObjective
    if kind is Vae:
        told = VaeSettings(kind="vae", latents=latents, body="dense", widths=WIDTHS, conditional=False)
        network, objective = Vae(told, shape, 0, Axes()), VaeObjective(told, shape)
    else:
        asked = AutoencoderSettings(kind="autoencoder", latents=latents, body="dense", widths=WIDTHS)
        network, objective = Autoencoder(asked, shape, Axes()), AutoencoderObjective(asked, shape)

    def loss(places: Tensor) -> Tensor:
        noise = torch.randn(len(places), objective.noise_size)
        losses = objective.losses(network, images[places], None, noise, Moment(0, 0, 1))
        return torch.stack(list(losses.values())).sum()

    minimise(network, loss, len(images), steps=steps, batch=BATCH, rate=RATE)
    return network


@torch.no_grad()
def plane(title: str, network: Autoencoder | Vae, images: Tensor, labels: Tensor) -> Plane:
    """Where held-out pictures lie by two latents, and what lies between them."""
    ticks = torch.linspace(-REACH, REACH, ACROSS)
    places = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # rows from the top, then columns: x, y
    made = to_pictures(network.decode(places, None))
    rows = made.reshape(ACROSS, ACROSS, *made.shape[1:])
    sheet = np.concatenate(np.concatenate(rows, axis=1), axis=1)
    return Plane(title, network.encode(images, None).numpy(), labels.numpy(), sheet)


def in_bytes(codes: Tensor, train_codes: Tensor) -> Tensor:
    """float [n, d] with each number rounded to one of 256 between the ends of the training pictures'."""
    low, high = train_codes.amin(0), train_codes.amax(0)
    width = (high - low).clamp(min=1e-9)
    return ((codes - low) / width * LEVELS).round().clamp(0, LEVELS) / LEVELS * width + low


@torch.no_grad()
def decibels(network: Autoencoder | Vae, train: Tensor, held_out: Tensor) -> float:
    """The mean over held-out pictures, whose codes are kept in a byte a latent."""
    codes = in_bytes(network.encode(held_out, None), network.encode(train, None))
    return float(psnr_db(network.decode(codes, None), held_out).mean())


def principal_decibels(train: Tensor, held_out: Tensor, latents: int) -> float:
    """The same by principal components."""
    mean = train.flatten(1).mean(0)
    rest = train.flatten(1) - mean
    directions = torch.linalg.eigh((rest.T @ rest).double())[1][:, -latents:].float()
    codes = in_bytes((held_out.flatten(1) - mean) @ directions, rest @ directions)
    made = (codes @ directions.T + mean).clamp(0, 1).view_as(held_out)
    return float(psnr_db(made, held_out).mean())


def png_bytes(images: Tensor) -> float:
    """The mean size of a picture as a PNG, which keeps all of it."""
    return float(np.mean([len(cv2.imencode(".png", one)[1]) for one in to_pictures(images[:200])]))


def write_findings(rows: Sequence[Row], planes: Sequence[Plane], whole: float, folder: Path) -> str:
    """codes.csv, planes.png and report.md in the folder; the text of the last."""
    table = io.StringIO()
    writer = csv.DictWriter(table, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(folder / "codes.csv", table.getvalue().encode())
    write_atomic(folder / "planes.png", draw_planes(planes))
    names = list(dict.fromkeys(row.code for row in rows))
    lines = [
        f"| bytes a picture | {' | '.join(f'{name}, dB' for name in names)} |",
        f"| ---: |{' ---: |' * len(names)}",
    ]
    for size in dict.fromkeys(row.bytes for row in rows):
        found = [f"{row.psnr_db:.1f}" for row in rows if row.bytes == size]
        lines.append(f"| {size} | {' | '.join(found)} |")
    text = "\n".join(
        [*lines, "", f"As a PNG, which loses nothing: {whole:.0f} bytes a picture in the mean.", ""]
    )
    write_atomic(folder / "report.md", text.encode())
    return text


def run_study(recipe_file: Path, overrides: Sequence[str], folder: Path, *, seed: int) -> Iterator[str]:
    """The study on the pictures of a generator's recipe; a line a training, at last the table, which lies in
    the folder. Raises RecipeError and DataError."""
    recipe = load_recipe(recipe_file, overrides)
    if not isinstance(recipe, GenerateRecipe):
        raise RecipeError(
            f"{recipe_file} is not of a generator; give one with labelled pictures, as mnist-vae"
        )
    (train, _), (held_out, labels) = GenerateTask(recipe).some_pictures(PICTURES, JUDGED)
    torch.manual_seed(seed)
    planes, rows = [], []
    for title, kind in (("autoencoder", Autoencoder), ("vae", Vae)):
        network = trained(kind, train, 2, PLANE_STEPS)
        planes.append(plane(title, network, held_out, labels))
        yield f"{title} of 2 latents: {decibels(network, train, held_out):.1f} dB"
    for latents in LATENTS:
        network = trained(Autoencoder, train, latents, STEPS)
        rows.append(Row("autoencoder", latents, decibels(network, train, held_out)))
        rows.append(Row("principal components", latents, principal_decibels(train, held_out, latents)))
        yield ", ".join(f"{row.code} of {row.bytes} bytes: {row.psnr_db:.1f} dB" for row in rows[-2:])
    yield write_findings(rows, planes, png_bytes(held_out), folder)
