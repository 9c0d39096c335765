"""A transformer over patches, and pooling by attention."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axis
from tombola.train.networks.classify.backbone_classifier import BackboneClassifier, ResNet20Settings
from tombola.train.networks.classify.classifiers import NetworkSettings, build_classifier
from tombola.train.networks.classify.patches import Patches, PatchesSettings
from tombola.train.networks.layers.attention_pool import AttentionPool


def small(size_hw: tuple[int, int] = (8, 12), **changes: Any) -> Patches:
    torch.manual_seed(0)
    settings = PatchesSettings(patch=4, layers=2, width=8, heads=2, hidden=12, **changes)
    network = build_classifier(settings, channels=3, size_hw=size_hw, n_classes=5)
    assert isinstance(network, Patches)
    return network


def test_pooling_weighs_cells_by_a_softmax() -> None:
    pool = AttentionPool(Axis("h", 2), Axis("pool", 2))
    with torch.no_grad():
        pool.key.weight.copy_(torch.eye(2))
        pool.key.bias.zero_()
        pool.score.weight.fill_(1.0)
    cells = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    energies = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]).tanh().sum(1)
    features, weights = pool(cells)
    torch.testing.assert_close(weights[0], energies.softmax(0))
    torch.testing.assert_close(features[0], weights[0] @ cells[0])


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_pictures_do_not_mix_and_every_weight_learns(pooling: str) -> None:
    network, images = small(pooling=pooling), torch.randn(3, 3, 8, 12)
    logits = network(images)
    torch.testing.assert_close(network(images[1:2])[0], logits[1])
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax does not see what is added to all keys alike.
        assert parameter.grad.abs().max() > 0 or name.endswith("attention.key.bias"), name


def test_a_patch_knows_its_place_and_the_weights_are_those_of_the_pool() -> None:
    network, images = small(pooling="attention"), torch.randn(1, 3, 8, 12)
    logits, weights = network.look(images)
    assert weights.shape == (1, 2, 3)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(network(images), logits)
    turned = images.unflatten(2, (2, 4)).flip(2).flatten(2, 3)  # the rows of patches change places
    assert not torch.allclose(network(turned), logits)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"\[8, 10\] is not whole patches of network.patch = 4"):
        small((8, 10))
    with pytest.raises(ValueError, match="width = 8 is no multiple of heads = 3"):
        PatchesSettings(width=8, heads=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        PatchesSettings(patch=4, layers=2, width=16, heads=2, hidden=32, pooling="attention"),
        ResNet20Settings(width=0.5, pooling="attention"),
    ],
    ids=["patches", "resnet20"],
)
def test_it_learns_to_look_at_what_tells(settings: NetworkSettings) -> None:
    """A square of one of three colours lies anywhere in noise: where it lies, nobody says."""
    torch.manual_seed(0)
    network = build_classifier(settings, channels=3, size_hw=(32, 32), n_classes=3)
    assert isinstance(network, Patches | BackboneClassifier)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        images, labels = torch.randn(count, 3, 32, 32), torch.randint(0, 3, (count,))
        corners = 4 * torch.randint(0, 7, (count, 2))
        for image, label, (top, left) in zip(images, labels.tolist(), corners.tolist(), strict=True):
            image[label, top : top + 8, left : left + 8] += 3.0
        return images, labels, corners

    for _ in range(160):
        images, labels, _ = draw(32)
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, labels, corners = draw(200)
    with torch.no_grad():
        logits, weights = network.eval().look(images)
    assert (logits.argmax(1) == labels).float().mean() > 0.9
    rows, columns = weights.shape[1:]
    cells = weights.flatten(1).argmax(1)
    cell_px = 32 // rows
    middles = cell_px * torch.stack([cells // columns, cells % columns], 1) + cell_px / 2
    on_it = ((middles >= corners - cell_px / 2) & (middles <= corners + 8 + cell_px / 2)).all(1)
    assert on_it.float().mean() > 0.8  # by chance 0.25 at most
