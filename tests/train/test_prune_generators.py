"""Tickets of generators: what is pruned of each family, and that a shrunk one makes the same pictures."""

from pathlib import Path

import pytest
import torch

from tombola.errors import TrainingError
from tombola.export.cost import cost_of_run
from tombola.export.run import export_run
from tombola.train.networks.axis import Axes, widths
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.gan import Gan, GanSettings
from tombola.train.networks.generate.generators import NetworkSettings, build_generator
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.networks.generate.vae import Vae, VaeSettings
from tombola.train.prune.cost import layers_of
from tombola.train.prune.dead import bury_dead
from tombola.train.prune.shrink import shrink
from tombola.train.prune.structured import CutSettings, cut_channels
from tombola.train.prune.weights.mask import MASK, Mask
from tombola.train.prune.weights.prunable import prunable
from tombola.train.prune.weights.rounds import find_tickets
from tombola.train.prune.weights.settings import PruneSettings
from tombola.train.run.folder import RunFolder
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

SHAPE = PictureShape(1, 8, 12)
FAMILIES: dict[str, NetworkSettings] = {
    "vae": VaeSettings(kind="vae", latents=3, widths=(12, 16)),
    "dense vae": VaeSettings(kind="vae", latents=3, body="dense", widths=(30, 20), conditional=False),
    "gan": GanSettings(kind="gan", latents=3, widths=(16, 12), critic_widths=(4, 8)),
    "autoencoder": AutoencoderSettings(kind="autoencoder", latents=3, widths=(12, 16)),
    "recurrent autoencoder": AutoencoderSettings(
        kind="autoencoder", latents=3, body="recurrent", widths=(20, 12)
    ),
    "dense autoencoder": AutoencoderSettings(
        kind="autoencoder", latents=3, body="dense", widths=(30, 20), code="sigmoid"
    ),
}
RECIPE = """
task = "generate"
name = "toy"
[data]
format = "idx"
root = "ROOT"
train = [{ pictures = "test-images.gz", labels = "test-labels.gz" }]
valid = [{ pictures = "test-images.gz", labels = "test-labels.gz", folds = ["0/4"] }]
[picture]
size = [8, 8]
[network]
kind = "gan"
latents = 2
widths = [16, 8]
critic_widths = [8, 16]
r1 = 1.0
[training]
epochs = 1
batch_size = 25
optimizer = "adam"
early_steps = [1]
workers = 0
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shrunk_ticket_makes_what_the_masked_one_makes(family: str) -> None:
    settings = FAMILIES[family]
    torch.manual_seed(1)
    network = build_generator(settings, SHAPE, 2).train()
    assert isinstance(network, Vae | Gan | Autoencoder)
    images, latents = torch.rand(6, 1, 8, 12), torch.randn(6, 3)
    labels = torch.arange(6) % 2 if network.n_labels else None
    network.decode(latents, labels)  # statistics of batch norm other than the first
    if not isinstance(network, Gan):
        network.encode(images, labels)
    weights = prunable(network)
    each = 0.4 if family.startswith("recurrent") else 3  # weights of a row; a unit has six rows there
    mask = Mask({name: torch.rand_like(one) < each / one.shape[1] for name, one in weights.items()})
    network.load_state_dict(mask.applied(network.state_dict()))
    quiet, alive = bury_dead(network.eval(), torch.randn(2, 1, 8, 12))
    narrow = shrink(quiet, alive, lambda left: build_generator(settings, SHAPE, 2, left))
    assert isinstance(narrow, Vae | Gan | Autoencoder)
    assert sum(widths(narrow).values()) < sum(widths(network).values())
    with torch.no_grad():
        assert torch.allclose(narrow.decode(latents, labels), network.decode(latents, labels), atol=1e-5)
        if isinstance(network, Vae):
            assert isinstance(narrow, Vae)
            for found, wanted in zip(
                narrow.posterior(images, labels), network.posterior(images, labels), strict=True
            ):
                assert torch.allclose(found, wanted, atol=1e-5)
        if isinstance(network, Autoencoder):
            assert isinstance(narrow, Autoencoder)
            assert torch.allclose(narrow.encode(images), network.encode(images), atol=1e-4)


def test_a_unit_that_a_latent_alone_reaches_is_not_dead() -> None:
    """The encoder gives latent 1 the same number for each picture, but whoever samples does not."""
    settings = AutoencoderSettings(kind="autoencoder", latents=2, body="dense", widths=(2,))
    network = Autoencoder(settings, SHAPE, Axes())
    with torch.no_grad():
        network.get_parameter("to_code.0.weight")[1] = 0
        network.get_parameter("decoder.layers.0.0.weight").copy_(torch.eye(2))
    assert bury_dead(network.eval(), torch.randn(2, 1, 8, 12))[1]["decoder.0"] == [0, 1]


def test_a_transposed_kernel_is_applied_to_each_cell_read() -> None:
    network = build_generator(FAMILIES["gan"], SHAPE, 0).eval()
    layers = {one.name: one for one in layers_of(network, lambda: network.decode(torch.zeros(5, 3), None))}
    doubling = layers["generator.layers.0.conv"]
    assert doubling.macs({}) == 5 * (4 * 6) * 16 * 16 * 12
    assert doubling.macs({"decoder.0": 8}) * 2 == doubling.macs({})


@pytest.fixture(scope="module")
def gan_run(digits_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gan")
    (folder / "toy.toml").write_text(RECIPE.replace("ROOT", str(digits_data)))
    return train_recipe(folder / "toy.toml", folder / "dense", device="cpu", quiet=True).path


def test_of_a_gan_the_generator_is_pruned_and_the_critic_rewound(gan_run: Path) -> None:
    found = find_tickets(gan_run, settings=PruneSettings(sparsity=0.8, rounds=1), quiet=True)
    ticket = RunFolder(found.folder / "round-1")
    mask = Mask.read(ticket.path / MASK)
    assert {name.partition(".")[0] for name in mask} == {"generator"}
    weights = ticket.read_weights("last")
    assert all(not weights[name][~living].any() for name, living in mask.items())
    critic = {name: one for name, one in weights.items() if name.startswith("critic.") and one.ndim > 1}
    early = RunFolder(gan_run).read_weights("early-1")
    assert all((one != 0).all() and not torch.equal(one, early[name]) for name, one in critic.items())
    assert ticket.read_lineage()["ticket"]["rewound_to"] == "step 1"


def test_of_a_gan_the_generator_is_cut(gan_run: Path, tmp_path: Path) -> None:
    cut = cut_channels(gan_run, tmp_path / "cut", CutSettings(score="taylor", block=4), quiet=True)
    assert cut.channels == {"decoder.0": (16, 8), "decoder.1": (8, 4)}
    begun = RunFolder(tmp_path / "cut").read_weights("initial")
    counted = [int(one) for name, one in begun.items() if name.endswith("num_batches_tracked")]
    assert counted == [4, 4]  # statistics of the generator, estimated anew over all batches


def test_what_is_fitted_at_once_is_not_pruned(gan_run: Path, tmp_path: Path) -> None:
    recipe, network = tmp_path / "toy.toml", "network={kind='linear_gaussian', latents=2}"
    recipe.write_text((gan_run / "recipe.toml").read_text())
    run = train_recipe(recipe, tmp_path / "fitted", overrides=[network], device="cpu", quiet=True)
    with pytest.raises(TrainingError, match="is fitted to the pictures at once"):
        find_tickets(run.path, quiet=True)


@pytest.mark.slow
def test_a_ticket_lies_in_the_file_shrunk(digits_data: Path, tmp_path: Path) -> None:
    """A tenth of the weights of an autoencoder, cut once: units die, the file says where it comes from, and
    answers as PyTorch does, which the export checks."""
    recipe = tmp_path / "toy.toml"
    recipe.write_text(
        f"""
task = "generate"
[data]
format = "idx"
root = {str(digits_data)!r}
train = [{{ pictures = "test-images.gz", labels = "test-labels.gz" }}]
valid = [{{ pictures = "test-images.gz", labels = "test-labels.gz", folds = ["0/4"] }}]
[picture]
size = [8, 8]
[network]
kind = "autoencoder"
body = "dense"
widths = [64, 48]
latents = 4
[training]
epochs = 2
batch_size = 10
optimizer = "adam"
early_steps = [1]
workers = 0
"""
    )
    dense = train_recipe(recipe, tmp_path / "dense", device="cpu", quiet=True).path
    assert cost_of_run(dense, "macs").total({}) == 64 * (4 * 48 + 48 * 64 + 64 * 64) / 1e6
    settings = PruneSettings(sparsity=0.98, rounds=1, rewind="finetune")
    ticket = find_tickets(dense, settings=settings, quiet=True).folder / "round-1"
    report = export_run(ticket, tmp_path / "ticket.onnx")
    assert report.contract.card["lineage"]["ticket"]["sparsity"] == pytest.approx(0.98, abs=1e-3)
    whole = export_run(dense, tmp_path / "dense.onnx")
    assert sum(part.weights for part in report.parts) < 0.8 * sum(part.weights for part in whole.parts)
