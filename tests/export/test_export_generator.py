"""Generators through the exporter: one file that decodes, and encodes where its `encode` says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import tombola
from tombola.errors import ExportError, ModelError
from tombola.export.export import export_network
from tombola.export.graph.walk import bodies
from tombola.export.parity.question import drawn_picture
from tombola.export.quantize import quantize
from tombola.export.quantize.pictures import calibration_feeds
from tombola.export.quantize.quantize import quantize_file
from tombola.export.tasks.generate.asking import asking_of
from tombola.export.tasks.generate.exportable import exportable_generator
from tombola.runtime.session.bench import BenchResult
from tombola.runtime.session.profile import profile_nodes
from tombola.runtime.verify import verify
from tombola.train.networks.generate.autoencoder import AutoencoderSettings
from tombola.train.networks.generate.gan import GanSettings
from tombola.train.networks.generate.gaussian_mrf import GaussianMrfSettings
from tombola.train.networks.generate.generators import (
    Completing,
    Encoding,
    Generator,
    NetworkSettings,
    Walking,
    build_generator,
)
from tombola.train.networks.generate.linear_gaussian import LinearGaussianSettings
from tombola.train.networks.generate.mrf import Mrf, MrfSettings
from tombola.train.networks.generate.rbm import Rbm, RbmSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import VaeSettings
from tombola.train.tasks.generate.linear_gaussian_objective import LinearGaussianObjective
from tombola.train.tasks.generate.recipe import GeneratePicture

pytestmark = pytest.mark.slow

PICTURE = GeneratePicture(size=(8, 12))
COLOURED = GeneratePicture(size=(8, 12), channels=3, mean=(0.0,) * 3, scale=(1 / 255,) * 3)
VAE = VaeSettings(kind="vae", latents=3, widths=(4, 8))
PLAIN_VAE = VaeSettings(kind="vae", latents=3, body="dense", widths=(9,), conditional=False)
RBM = RbmSettings(kind="rbm", hidden=3, samples_after=5)
LEVELS_RBM = RbmSettings(kind="rbm", hidden=3, visible="gaussian", samples_after=5)
FIELD = MrfSettings(kind="mrf", reach=1, samples_after=4)
LEVELS_FIELD = GaussianMrfSettings(kind="gaussian_mrf")
PPCA = LinearGaussianSettings(kind="linear_gaussian", latents=3)
GAN = GanSettings(kind="gan", latents=3, widths=(8, 4), critic_widths=(4, 8))
ROWS = AutoencoderSettings(kind="autoencoder", latents=3, body="recurrent", widths=(5, 4))
TIED = AutoencoderSettings(kind="autoencoder", latents=3, body="dense", widths=(6,), tied=True)
PREDICTIVE = AutoencoderSettings(kind="autoencoder", latents=3, body="linear", sparse=0.1, predictive=1.0)
LABELS = ("a", "b")
BENCHED = BenchResult(Path(), 1, "cpu", 1, (2.0,) * 50, 100.0, 0.1, 1, 1)


def network_of(settings: NetworkSettings, shape: PictureShape = PICTURE.shape) -> Generator:
    torch.manual_seed(2)
    network = build_generator(settings, shape, len(LABELS)).train()
    if isinstance(network, Rbm):  # ties that matter
        network.begin(torch.rand(9, *shape))
        nn.init.normal_(network.up.weight)
    if isinstance(network, Mrf):
        nn.init.normal_(network.machine.all.weight)
    if isinstance(network, Completing):
        spread = torch.randn(400, shape.size, dtype=torch.float64).cumsum(1) / 20
        objective = LinearGaussianObjective(settings)  # type: ignore[arg-type]
        mean = torch.full((shape.size,), 0.5, dtype=torch.float64)
        objective.fit(network, mean, torch.cov(spread.T))
    for _ in range(3):  # statistics of batch norm other than the first
        network.decode(torch.randn(6, network.latent_size), torch.arange(6) % 2 if network.n_labels else None)
    return network.eval()


@pytest.mark.parametrize(
    ("settings", "picture"),
    [
        pytest.param(VAE, PICTURE, id="vae"),
        pytest.param(VAE, COLOURED, id="vae in colours"),
        pytest.param(PLAIN_VAE, PICTURE, id="plain vae"),
        pytest.param(GAN, PICTURE, id="gan"),
        pytest.param(RBM, PICTURE, id="rbm"),
        pytest.param(LEVELS_RBM, PICTURE, id="rbm of levels"),
        pytest.param(FIELD, PICTURE, id="field"),
        pytest.param(LEVELS_FIELD, COLOURED, id="field of levels"),
        pytest.param(PPCA, PICTURE, id="ppca"),
        pytest.param(ROWS, COLOURED, id="rows"),
        pytest.param(TIED, PICTURE, id="tied"),
        pytest.param(PREDICTIVE, PICTURE, id="predictive"),
    ],
)
def test_a_file_answers_as_its_network(
    settings: NetworkSettings, picture: GeneratePicture, tmp_path: Path
) -> None:
    network = network_of(settings, picture.shape)
    exported = exportable_generator(network, picture.as_input(), LABELS)
    report = export_network(exported, tmp_path / "made.onnx", half=False)
    model = tombola.load(report.path, "cpu", task="generate")
    assert verify(report.path, "cpu").ok
    (last,) = (node for node in onnx.load(report.path).graph.node if "images" in node.output)
    assert last.op_type == "Transpose"  # of bytes: levels with a last side of 1 are slow to multiply
    label = np.array([1, 0, 1]) if network.n_labels else None
    again = tombola.load(report.path, "cpu", task="generate").sample(
        3, seed=5, label=None if label is None else label.tolist()
    )
    made = model.sample(3, seed=5, label=None if label is None else label.tolist())
    assert np.array_equal(made.images_u8, again.images_u8)
    told = None if label is None else torch.from_numpy(label)
    with torch.no_grad():
        expected = network.decode(torch.from_numpy(made.latents.copy()), told).numpy()
    assert np.abs(made.images_u8 - 255 * expected.transpose(0, 2, 3, 1)).max() < 1
    asking = asking_of(report.contract)
    assert (asking.latent_size, asking.n_labels, asking.encodes) == (
        network.latent_size,
        network.n_labels,
        network.encodes,
    )
    if not isinstance(network, Encoding):
        assert "critic" not in str(onnx.load(report.path).graph.initializer)
        return
    image_rgb_u8 = drawn_picture((31, 50))
    seen = picture.as_input()(torch.from_numpy(image_rgb_u8))
    with torch.no_grad():
        wanted = network.encode(seen, None if told is None else told[:1])[0].numpy()
    assert np.allclose(model.encode(image_rgb_u8, label=None if label is None else 1), wanted, atol=1e-4)
    if isinstance(network, Completing):
        hole = np.zeros_like(image_rgb_u8)
        hole[:, :20] = 255
        unknown = (picture.as_input()(torch.from_numpy(hole)) > 0.5).float()
        known = network.decode(network.complete(seen, unknown))
        found = model.reconstruct(image_rgb_u8, missing=hole)
        assert np.abs(found.images_u8 - 255 * known.numpy().transpose(0, 2, 3, 1)).max() < 1
        with pytest.raises(ModelError, match="mask is 12×12 pixels"):
            model.reconstruct(image_rgb_u8, missing=np.zeros((12, 12, 3), np.uint8))
    if isinstance(network, Walking):
        kept = network.reconstruct(network.encode(seen)).detach().numpy()
        assert np.abs(model.reconstruct(image_rgb_u8).images_u8 - 255 * kept.transpose(0, 2, 3, 1)).max() < 1


def test_the_branch_that_is_not_taken_is_not_computed(tmp_path: Path) -> None:
    report = export_network(
        exportable_generator(network_of(VAE), PICTURE.as_input(), LABELS), tmp_path / "made.onnx"
    )
    (condition,) = (node for node in onnx.load(report.path).graph.node if node.op_type == "If")
    assert sum(node.op_type == "Conv" for body in bodies(condition) for node in body.node) == 2
    feeds: dict[str, NDArray[Any]] = {
        "latents": np.zeros((1, 3), np.float32), "label": np.zeros(1, np.int64),
        "image": drawn_picture((300, 400)),
    }  # fmt: skip
    ran = [
        {node.op_type for node in profile_nodes(report.path, {**feeds, "encode": np.array(encode)}, "cpu", 1)}
        for encode in (0, 1)
    ]
    assert "Loop" not in ran[0]  # what halves a picture
    assert "Loop" in ran[1]


def test_a_class_needs_a_name(tmp_path: Path) -> None:
    exported = exportable_generator(network_of(GAN), PICTURE.as_input(), ("a", "b"))
    assert exported.labels == LABELS
    with pytest.raises(ExportError, match="knows 2 classes, but 1 labels"):
        exportable_generator(network_of(GAN), PICTURE.as_input(), ("a",))
    assert not list(tmp_path.iterdir())


def test_in_bytes_a_dense_decoder_is_fitted_to_latents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers of it; the last, which gives the levels, stays in float."""
    monkeypatch.setattr(quantize, "_race", lambda *_: (BENCHED, replace(BENCHED, latencies_ms=(1.0,) * 50)))
    settings = AutoencoderSettings(kind="autoencoder", latents=16, body="dense", widths=(48, 32))
    report = export_network(
        exportable_generator(network_of(settings), PICTURE.as_input(), ()), tmp_path / "made.onnx"
    )
    small = quantize_file(report.path, tmp_path / "small.onnx", "int8")
    assert small.layers[:2] == ("decoder.layers.0.0", "decoder.layers.1.0")
    assert small.left == ("decoder.last",)
    assert small.pictures == 512
    assert verify(small.path, "cpu").ok
    whole, fewer = (tombola.load(path, "cpu", task="generate") for path in (report.path, small.path))
    made, wanted = (model.sample(20, seed=3).images_u8.astype(int) for model in (fewer, whole))
    assert 0 < np.abs(made - wanted).mean() < 3


def test_a_decoder_is_fitted_to_what_its_encoder_makes_of_pictures_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes of an autoencoder are not normal: here they lie a hundred times as far out."""
    monkeypatch.setattr(quantize, "_race", lambda *_: (BENCHED, replace(BENCHED, latencies_ms=(1.0,) * 50)))
    settings = AutoencoderSettings(kind="autoencoder", latents=16, body="dense", widths=(48, 32))
    network = network_of(settings)
    with torch.no_grad():
        for parameter in network.get_submodule("to_code").parameters():
            parameter.mul_(100)
    whole = export_network(exportable_generator(network, PICTURE.as_input(), ()), tmp_path / "made.onnx").path
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(8):
        cv2.imwrite(str(pictures / f"{seed}.png"), drawn_picture((20, 30), seed))
    asked = drawn_picture((20, 30), 3)[..., ::-1].copy()
    wanted = tombola.load(whole, "cpu", task="generate").reconstruct(asked).images_u8.astype(int)
    missed = []
    for name, source in (("drawn.onnx", None), ("fitted.onnx", pictures)):
        report = quantize_file(whole, tmp_path / name, "int8", pictures=source)
        assert report.pictures == (512 if source is None else 520)
        found = tombola.load(report.path, "cpu", task="generate").reconstruct(asked).images_u8
        missed.append(np.abs(found - wanted).mean())
    assert missed[1] < missed[0] / 2


def test_a_generator_that_looks_at_nothing_is_fitted_to_no_picture(tmp_path: Path) -> None:
    exported = exportable_generator(network_of(GAN), PICTURE.as_input(), LABELS)
    contract = export_network(exported, tmp_path / "made.onnx").contract
    with pytest.raises(ExportError, match=r"fitted to latents, not pictures.*leave --calibrate out"):
        calibration_feeds(tmp_path, contract)


def test_transposed_convolutions_compute_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what puts their phases side by side, so that bytes stay bytes between two layers."""
    monkeypatch.setattr(quantize, "_race", lambda *_: (BENCHED, replace(BENCHED, latencies_ms=(1.0,) * 50)))
    settings = GanSettings(kind="gan", latents=3, widths=(16, 12, 8), critic_widths=(4, 8))
    exported = exportable_generator(network_of(settings), PICTURE.as_input(), LABELS)
    whole = export_network(exported, tmp_path / "made.onnx").path
    report = quantize_file(whole, tmp_path / "small.onnx", "int8")
    assert report.layers == ("generator.first", "generator.layers.0", "generator.layers.1")
    assert report.left == ("generator.last",)
    assert verify(report.path, "cpu").ok
    contract = report.contract
    ran = [node.op_type for node in profile_nodes(report.path, contract.example_feeds((1, 1)), "cpu", 1)]
    assert ran.count("QLinearConv") == 2
    assert ran.count("DequantizeLinear") == 1
    made, wanted = (
        tombola.load(path, "cpu", task="generate").sample(20, seed=3).images_u8.astype(int)
        for path in (report.path, whole)
    )
    assert 0 < np.abs(made - wanted).mean() < 3
