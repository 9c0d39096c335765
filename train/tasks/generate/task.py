"""Generation: what a batch, a loss and a score are for it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tombola.errors import DataError, RecipeError
from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.present import check_present
from tombola.train.drawing.contact_sheet import Tile
from tombola.train.metrics.frechet import frechet_distance
from tombola.train.metrics.score import Score
from tombola.train.networks.generate.autoencoder import AutoencoderSettings
from tombola.train.networks.generate.gan import Gan, GanSettings
from tombola.train.networks.generate.gaussian_mrf import GaussianMrfSettings
from tombola.train.networks.generate.generators import Generator, build_generator
from tombola.train.networks.generate.linear_gaussian import LinearGaussianSettings
from tombola.train.networks.generate.mrf import MrfSettings
from tombola.train.networks.generate.rbm import Rbm, RbmSettings
from tombola.train.networks.generate.vae import Vae, VaeSettings
from tombola.train.recipe.recipe import to_toml
from tombola.train.start.freeze import rest_frozen
from tombola.train.start.parent import Layers, freeze, lineage, start_network
from tombola.train.tasks.classify.batches import ClassifyExamples, Request, plan_epoch
from tombola.train.tasks.classify.task import load_split
from tombola.train.tasks.generate.annealing import log_partition
from tombola.train.tasks.generate.autoencoder_objective import AutoencoderObjective
from tombola.train.tasks.generate.batches import Batch, GenerateExamples, collate
from tombola.train.tasks.generate.exhibits import (
    generate_exhibits,
    nearest_exhibit,
    sample_row,
    samples,
)
from tombola.train.tasks.generate.gan_objective import GanObjective
from tombola.train.tasks.generate.likelihood import log_likelihood
from tombola.train.tasks.generate.linear_gaussian_objective import LinearGaussianObjective
from tombola.train.tasks.generate.mrf_objective import MrfObjective
from tombola.train.tasks.generate.objective import Objective
from tombola.train.tasks.generate.rbm_objective import RbmObjective
from tombola.train.tasks.generate.recipe import GenerateRecipe
from tombola.train.tasks.generate.vae_objective import VaeObjective
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.shares import check_layers
from tombola.train.tasks.task import Exhibit, Tell, evenly, several, silent

LAYERS = Layers(last=("none",))  # all layers are taken over: none depends on the classes' names

JUDGED_TOGETHER = 256
JUDGED_RUNS, JUDGED_TEMPERATURES = 64, 500  # of annealing: enough to tell epochs apart
BEGUN_WITH = 2000  # pictures
NEAREST_OF = 20  # samples whose nearest training pictures are shown
MOST_REAL = 100  # pictures that their distances are held to
COARSE_HW = (8, 8)


class GenerateTask:
    """Pictures like those of the recipe, from random numbers.

    The score is the loss of the validation pictures: of a VAE the bound on -log p(x) in nats a picture, of a
    Gaussian generator that itself, of a Boltzmann machine that by an estimate of ln Z, of a field of pixels
    the pseudo-likelihood, of an autoencoder the squared error of a picture, of a GAN the Fréchet distance of
    its pictures from real ones, both brought to 8×8 levels.
    """

    score = Score("loss", "", higher_is_better=False)

    def __init__(self, recipe: GenerateRecipe, widths: Mapping[str, int] | None = None) -> None:
        """Load the data and check it. Raises DataError."""
        self.recipe = recipe
        self.widths: Mapping[str, int] = widths or {}
        self.name = recipe.name
        self.settings = recipe.training
        self.seed = recipe.seed
        self.objective = objective_of(recipe)
        self.turns = self.objective.turns
        self.train_data = load_split(recipe, "train")
        self.classes = self.train_data.classes
        self.valid_data = load_split(recipe, "valid", self.classes) if recipe.data.valid else None
        self.picture_input = recipe.picture.as_input()

    def check_test(self) -> None:
        data = self.recipe.data
        named = [name for source in data.test for name in (source.pictures, source.labels) if name]
        check_present(data.root, named, "data.test")

    def check_shares(self) -> None:
        if self.turns > 1:
            raise RecipeError("the players of a GAN take turns, which several processes cannot; use one")
        if isinstance(self.recipe.network, RbmSettings):
            raise RecipeError("the chains of a Boltzmann machine would differ between processes; use one")
        check_layers(self.build_network(start=False), batch_norm='network.body = "dense"')

    def recipe_toml(self) -> str:
        return to_toml(self.recipe.with_classes(self.classes))

    def lineage(self) -> dict[str, Any]:
        return lineage(self.recipe, self.classes, LAYERS)

    def build_network(self, *, start: bool = True) -> nn.Module:
        torch.manual_seed(self.seed)
        network = build(self.recipe, len(self.classes), self.widths)
        if start and isinstance(network, Rbm):
            network.begin(self._some(self.train_data, BEGUN_WITH)[0])
        if start and not self.widths:
            start_network(network, self.recipe, self.classes, LAYERS)
        freeze(network, self.recipe)
        return network

    def prepare(self, network: nn.Module, moment: Moment) -> None:
        network.train()
        self.objective.prepare(_plain(network), moment.turn)
        freeze(_plain(network), self.recipe)
        rest_frozen(network)

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        groups: dict[str, dict[str, Any]] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                decay = self.settings.weight_decay if parameter.ndim > 1 else 0.0
                told = {**self.objective.group(name), "weight_decay": decay}
                groups.setdefault(repr(told), {**told, "params": []})["params"].append(parameter)
        return list(groups.values())

    def plan_epoch(self, epoch: int) -> list[list[Request]]:
        return plan_epoch(
            len(self.train_data), batch_size=self.settings.batch_size, seed=self.seed, epoch=epoch
        )

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        picture = self.recipe.picture
        settings = self.recipe.augment if augmented else None
        labelled = ClassifyExamples(self.train_data, picture.size, picture.fit, settings)
        return GenerateExamples(labelled, self.objective.noise_size)

    def collate(self, examples: Sequence[Any]) -> Batch:
        return collate(examples)

    def losses(self, network: nn.Module, batch: Batch, moment: Moment) -> Mapping[str, Tensor]:
        images, labels = self._seen(batch)
        return self.objective.losses(network, images, labels, batch.noise, moment)

    def expected_losses(self) -> Mapping[str, float]:
        return {}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        if self.valid_data is None:
            return {}
        means = self._scores(network, tell)
        if isinstance(network, Gan):
            return {"loss": self._frechet(network), **means}
        if isinstance(network, Rbm):
            log_z = log_partition(network, JUDGED_RUNS, JUDGED_TEMPERATURES, self.seed).mean
            return {"loss": means["free_energy"] + log_z, **means}
        return means

    def _scores(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        """The mean of each figure over the validation pictures."""
        assert self.valid_data is not None
        device = next(network.parameters()).device
        sums: defaultdict[str, float] = defaultdict(float)
        for done, batch in self._judged(self.valid_data):
            images, labels = self._seen(batch.to(device))
            figures = self.objective.scores(network, images, labels, batch.noise.to(device))
            for name, values in figures.items():
                sums[name] += float(values.double().sum())
            tell(done, len(self.valid_data))
        return {name: total / len(self.valid_data) for name, total in sums.items()}

    def _frechet(self, network: Gan) -> float:
        """The distance of as many pictures as there are for validation from these, both made coarse."""
        assert self.valid_data is not None
        device = next(network.parameters()).device
        real: list[NDArray[np.float64]] = []
        made: list[NDArray[np.float64]] = []
        for _, batch in self._judged(self.valid_data):
            images, labels = self._seen(batch.to(device))
            latents = batch.noise[:, : network.latent_size].to(device)
            real.append(coarse_features(images))
            made.append(coarse_features(network.decode(latents, labels)))
        return frechet_distance(np.vstack(real), np.vstack(made))

    @property
    def by_moments(self) -> bool:
        return isinstance(self.objective, LinearGaussianObjective)

    def vectors(self, batch: Batch) -> Tensor:
        return self._seen(batch)[0].flatten(1)

    def fit(self, network: nn.Module, mean: Tensor, covariance: Tensor) -> None:
        assert isinstance(self.objective, LinearGaussianObjective)
        self.objective.fit(network, mean, covariance)

    def log_likelihood(self, network: nn.Module, samples: int, tell: Tell = silent) -> dict[str, float]:
        """The mean log p(x) of the validation pictures in nats, the pixels of binary ones drawn anew: of a
        vae by as many importance samples of each, of a Boltzmann machine by as many temperatures, with what
        their spread between runs makes of it. Empty without pictures; RecipeError where the family has no
        such estimate."""
        if not isinstance(self.objective, VaeObjective | RbmObjective):
            raise RecipeError(
                f"log p(x) can be estimated of a vae and of an rbm, not of network.kind = "
                f'"{self.recipe.network.kind}"; leave --likelihood out'
            )
        if self.valid_data is None:
            return {}
        if isinstance(self.objective, RbmObjective):
            free_energy = self._scores(network)["free_energy"]
            return self.objective.likelihood(network, free_energy, self.seed, samples, tell)
        assert isinstance(network, Vae)
        generator, total = torch.Generator().manual_seed(self.seed), 0.0
        device = next(network.parameters()).device
        for done, batch in self._judged(self.valid_data):
            images, labels = self._seen(batch.to(device))
            pixels = self.objective.pixels(images, batch.noise.to(device))
            total += float(log_likelihood(network, pixels, labels, samples, generator).sum())
            tell(done, len(self.valid_data))
        return {"log_likelihood": total / len(self.valid_data)}

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        requests = sorted(chain.from_iterable(self.plan_epoch(0)), key=lambda one: one.index)
        plain, changed, examples = [], [], self.examples()
        for request in evenly(requests, most):
            image_rgb_u8, label, _ = examples[request]
            plain.append(Tile(self.train_data.read(request.index), self.classes[label]))
            changed.append(Tile(image_rgb_u8, self.classes[label]))
        return plain, changed

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit]:  # noqa: ARG002
        assert isinstance(network, Generator)
        device = next(network.parameters()).device
        some = None
        if self.valid_data is not None:
            _, batch = next(self._judged(self.valid_data))
            some = self._seen(batch.to(device))
        made = samples(network, NEAREST_OF, self.seed + 1)
        training = (self._seen(batch.to(device))[0] for _, batch in self._judged(self.train_data))
        real = None if some is None else some[0][:MOST_REAL]
        return [
            *generate_exhibits(network, self.classes, self.seed, some),
            nearest_exhibit(made, training, real),
        ]

    def sample_row(self, network: nn.Module) -> bytes:
        assert isinstance(network, Generator)
        return sample_row(network, self.seed)

    def some_pictures(self, train: int, valid: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Up to so many training pictures and so many for validation, float [B, c, h, w] of 0..1, and their
        labels, int64 [B]. DataError where the recipe names none for validation."""
        if self.valid_data is None:
            raise DataError("the recipe names no pictures to judge by; give it data.valid")
        return self._some(self.train_data, train), self._some(self.valid_data, valid)

    def _some(self, data: ClassificationSet, most: int) -> tuple[Tensor, Tensor]:
        """Pictures and their labels, evenly taken."""
        picture = self.recipe.picture
        examples = GenerateExamples(ClassifyExamples(data, picture.size, picture.fit, None), 0)
        requests = [Request(index, index) for index in evenly(range(len(data)), most)]
        batch = collate(several(examples, requests))
        return self._seen(batch)[0], batch.labels

    def _judged(self, data: ClassificationSet) -> Iterator[tuple[int, Batch]]:
        """All pictures in order, as they are, with noise that is the same at every call."""
        picture = self.recipe.picture
        labelled = ClassifyExamples(data, picture.size, picture.fit, None)
        examples = GenerateExamples(labelled, self.objective.noise_size)
        for start in range(0, len(data), JUDGED_TOGETHER):
            indices = range(start, min(start + JUDGED_TOGETHER, len(data)))
            yield indices.stop, collate(several(examples, [Request(index, index) for index in indices]))

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        images = self.picture_input.to(batch.images_rgb_u8.device).normalise(batch.images_rgb_u8)
        images = images.contiguous(memory_format=torch.channels_last)
        return images, batch.labels if self.recipe.network.conditional else None


def coarse_features(images: Tensor) -> NDArray[np.float64]:
    """Pictures [B, c, h, w] at COARSE_HW, a row each: where what is bright, and what goes with what."""
    return np.asarray(F.adaptive_avg_pool2d(images.double(), COARSE_HW).flatten(1).cpu().numpy())


def objective_of(recipe: GenerateRecipe) -> Objective:
    """What the network of the recipe learns by."""
    match recipe.network:
        case VaeSettings():
            return VaeObjective(recipe.network, recipe.picture.shape)
        case AutoencoderSettings():
            return AutoencoderObjective(recipe.network, recipe.picture.shape)
        case LinearGaussianSettings() | GaussianMrfSettings():
            return LinearGaussianObjective(recipe.network)
        case MrfSettings():
            return MrfObjective(recipe.network, recipe.picture.shape)
        case RbmSettings():
            return RbmObjective(recipe.network, recipe.picture.shape)
        case GanSettings():
            if recipe.training.optimizer == "sgd":
                raise RecipeError('training.optimizer = "sgd" does not balance a GAN; use "adam"')
            return GanObjective(recipe.network)


def build(recipe: GenerateRecipe, n_classes: int, widths: Mapping[str, int] | None = None) -> Generator:
    """The network of the recipe with fresh weights; `widths` by the name of an axis stand in for the
    recipe's. Raises TrainingError for widths of another network."""
    return build_generator(recipe.network, recipe.picture.shape, n_classes, widths)


def _plain(network: nn.Module) -> nn.Module:
    """The network without the wrapper that the precision puts around it."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, nn.Module) else network
