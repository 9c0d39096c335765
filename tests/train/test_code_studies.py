"""The studies of autoencoders, on pictures of a few pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.generate.autoencoder import Autoencoder
from tombola.train.networks.generate.vae import Vae
from tombola.train.run.folder import RunFolder
from tombola.train.studies import codes, stacking
from tombola.train.tasks.table import open_task
from tombola.train.train import train_recipe


def bars(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One of four bars and noise: pictures [n, 1, 4, 4] and which it is."""
    labels = torch.arange(count) % 4
    images = torch.eye(4)[labels].repeat_interleave(4, 1).view(count, 1, 4, 4)
    return (images + 0.1 * torch.rand(count, 1, 4, 4)).clamp(0, 1), labels


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for study in (stacking, codes):
        monkeypatch.setattr(study, "RATE", 0.02)
        monkeypatch.setattr(study, "BATCH", 20)


@pytest.mark.slow
def test_both_arms_learn_and_the_stacked_begin_with_what_was_stacked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    known, judged = stacking.Labelled(*bars(120)), stacking.Labelled(*bars(40))
    rows = list(
        stacking.study(
            known, judged, tmp_path, seeds=2, widths=(8, 6), counts=(8, 40), layer_steps=60, fine_steps=40
        )
    )
    assert [(row.arm, row.labels, row.seed) for row in rows[:3]] == [
        (stacking.SCRATCH, 8, 0),
        (stacking.STACKED, 8, 0),
        (stacking.SCRATCH, 40, 0),
    ]
    assert all(row.error < 0.3 for row in rows if row.labels == 40)  # by chance 0.75
    weights = RunFolder(tmp_path).read_weights("stacked-1")
    assert {name: list(one.shape) for name, one in weights.items() if one.ndim > 1} == {
        "layers.0.0.weight": [8, 16],
        "layers.1.0.weight": [6, 8],
    }
    text = stacking.write_findings(rows, tmp_path)
    assert text.count("±") == 2 * 3
    assert (tmp_path / "stacking.csv").read_text().count("\n") == 1 + len(rows)


def test_a_stacked_layer_gives_back_what_it_reads() -> None:
    torch.manual_seed(0)
    images, _ = bars(200)
    matrix = stacking.stacked_layers(images, (8,), 150)["layers.0.0.weight"]
    directions = torch.linalg.eigh(torch.cov(images.flatten(1).T))[1][:, -3:]  # what bars differ by
    kept = torch.linalg.lstsq(matrix.T, directions).solution
    assert (matrix.T @ kept - directions).square().sum(0).max() < 0.1  # of 1


def test_a_byte_a_number_keeps_it_to_half_a_step() -> None:
    train = torch.tensor([[-1.0, 0.0], [3.0, 0.0]])
    found = codes.in_bytes(torch.tensor([[0.3, 0.0], [5.0, 0.0]]), train)
    assert found[0, 0].item() == pytest.approx(0.3, abs=4 / 255 / 2 + 1e-6)
    assert found[1].tolist() == pytest.approx([3.0, 0.0])  # what is beyond the ends is lost


def test_principal_components_of_as_many_as_pictures_differ_by_lose_next_to_nothing() -> None:
    images = torch.rand(1, 1, 3, 3) * 0.2 + 0.8 * torch.rand(50, 1, 1, 1) * torch.eye(3)
    assert codes.principal_decibels(images, images[:9], 1) > 45


def test_a_plane_shows_its_right_and_its_top_where_they_are(tmp_path: Path) -> None:
    class Plain(torch.nn.Module):
        def decode(self, latents: torch.Tensor, _: None) -> torch.Tensor:
            return (latents @ torch.tensor([[0.1], [0.02]]) + 0.5).view(-1, 1, 1, 1)

        def encode(self, images: torch.Tensor, _: None) -> torch.Tensor:
            return images.flatten(1)[:, :2]

    plain = codes.plane("plain", Plain(), *bars(8))  # type: ignore[arg-type]
    made = plain.made[..., 0].astype(int)
    assert made.shape == (codes.ACROSS, codes.ACROSS)
    assert (np.diff(made, axis=1) > 0).all()
    assert made[0, 0] > made[-1, 0]
    text = codes.write_findings([codes.Row("autoencoder", 2, 12.34)], [plain], 90.0, tmp_path)
    assert "| 2 | 12.3 |" in text
    assert (tmp_path / "planes.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_both_kinds_are_trained_on_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "WIDTHS", (12,))
    torch.manual_seed(0)
    images, _ = bars(100)
    for kind in (Autoencoder, Vae):
        network = codes.trained(kind, images, 2, 200)
        assert codes.decibels(network, images, images) > 11  # the mean picture alone gives 7


def test_a_classifier_begins_with_the_encoder_of_an_autoencoder(digits_data: Path, tmp_path: Path) -> None:
    facts = f"""
[data]
format = "idx"
root = {str(digits_data)!r}
train = [{{ pictures = "test-images.gz", labels = "test-labels.gz" }}]
rights = "drawn for tests"
[picture]
size = [8, 8]
channels = 1
"""
    learns = "[training]\nepochs = 1\nbatch_size = 50\nworkers = 0\n"
    recipe = tmp_path / "codes.toml"
    network = (
        '[network]\nkind = "autoencoder"\nbody = "dense"\nwidths = [9, 7]\nactivation = "tanh"\nlatents = 3\n'
    )
    recipe.write_text(f'task = "generate"\n{facts}{network}{learns}')
    run = train_recipe(recipe, tmp_path / "run", device="cpu", quiet=True)
    names = tmp_path / "names.toml"
    network = '[network]\nkind = "mlp"\nwidths = [9, 7]\nactivation = "tanh"\n'
    seen = "mean = [0.0]\nscale = [0.00392156862745098]\n"
    start = f"[start]\nweights = {str(run.path)!r}\n"
    names.write_text(f'task = "classify"\n{facts}{seen}{network}{learns}{start}')
    task = open_task(names)
    begun, stored = task.build_network().state_dict(), run.read_weights("last")
    for layer in ("layers.0.0", "layers.1.0"):
        assert torch.equal(begun[f"{layer}.weight"], stored[f"encoder.{layer}.weight"])
    assert task.lineage()["parent"]["data"] == "drawn for tests"
    with pytest.raises(RecipeError, match="was trained with"):
        open_task(names, ["picture.mean=[9.0]"]).build_network()
    with pytest.raises(TrainingError, match=r"\[9, 64\] for layers.0.0.weight"):
        open_task(names, ["network.widths=[10, 7]"]).build_network()
