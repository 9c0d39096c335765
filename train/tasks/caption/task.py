"""Captions: what a batch, a loss and a score are for them."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tombola.errors import DataError, RecipeError
from tombola.runtime.clips.clip import Clip, spread
from tombola.runtime.pictures.picture import Picture
from tombola.train.data.captions import formats
from tombola.train.data.captions.caption_set import Caption, CaptionSet, merge
from tombola.train.data.captions.vocabulary import SIGNS, Vocabulary, count_words
from tombola.train.data.pictures.clips import side_by_side
from tombola.train.data.present import check_present
from tombola.train.drawing.contact_sheet import Tile
from tombola.train.metrics.captions import score_captions
from tombola.train.metrics.score import Score
from tombola.train.networks.caption.captioner import Captioner, build_captioner
from tombola.train.networks.caption.search import Found, Options, search
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.recipe.recipe import to_toml
from tombola.train.start.freeze import rest_frozen
from tombola.train.start.parent import Layers, freeze, lineage, parameter_groups, start_network
from tombola.train.tasks.caption.batches import NOTHING, Batch, CaptionExamples, Example, collate
from tombola.train.tasks.caption.maps import MapMemory
from tombola.train.tasks.caption.recipe import CaptionAnswer, CaptionPicture, CaptionRecipe, CaptionSource
from tombola.train.tasks.caption.self_critical import Critic
from tombola.train.tasks.caption.words_before import partly_own, words_before
from tombola.train.tasks.classify.batches import Request, plan_epoch
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.shares import check_layers
from tombola.train.tasks.task import ExhibitTable, Tell, evenly, silent

LAYERS = Layers(last=("decoder.words.",), body="encoder")

# Pictures that are captioned at once.
JUDGED_TOGETHER = 32
MOST_EXHIBITED = 20


class CaptionTask:
    """Words about each picture or clip; scored by CIDEr-D against what people said of it."""

    score = Score("cider_d", "", higher_is_better=True)

    def __init__(self, recipe: CaptionRecipe, widths: Mapping[str, int] | None = None) -> None:
        """Load the data and check it. Raises DataError."""
        self.recipe = recipe
        self.widths: Mapping[str, int] = widths or {}
        self.name = recipe.name
        self.settings = recipe.training
        self.seed = recipe.seed
        self.train_data = load_split(recipe, "train")
        words = recipe.data.classes or count_words(
            chain.from_iterable(self.train_data.references), recipe.data.least_count
        )
        check_words(words)
        self.vocabulary = Vocabulary(words)
        self.valid_data = load_split(recipe, "valid") if recipe.data.valid else None
        self.picture_input = recipe.picture.as_input()
        self._train_maps, self._valid_maps = MapMemory(), MapMemory()
        self._looks = 1 if recipe.augment == type(recipe.augment)() else recipe.data.looks

    @cached_property
    def _critic(self) -> Critic:
        return Critic(self.train_data.references, self.vocabulary)

    def check_test(self) -> None:
        data = self.recipe.data
        named = [name for source in data.test for name in (source.pictures, source.captions)]
        check_present(data.root, named, "data.test")

    def check_shares(self) -> None:
        if self.recipe.network.decoder.dropout > 0:
            raise RecipeError(
                "the decoder's dropout would drop other units in each process; use one, or "
                "network.decoder.dropout = 0"
            )
        for key in ("own_words", "self_critical"):
            if getattr(self.recipe.loss, key) > 0:
                raise RecipeError(
                    f"loss.{key} would draw other words in each process; use one, or set it to 0"
                )
        check_layers(self.build_network(start=False), batch_norm='start.freeze = "encoder.last"')

    def recipe_toml(self) -> str:
        return to_toml(self.recipe.with_classes(self.vocabulary.words))

    def lineage(self) -> dict[str, Any]:
        return lineage(self.recipe, self.vocabulary.words, LAYERS)

    def build_network(self, *, start: bool = True) -> nn.Module:
        torch.manual_seed(self.seed)
        network = build(self.recipe, len(self.vocabulary), self.widths)
        if start and not self.widths:
            start_network(network, self.recipe, self.vocabulary.words, LAYERS)
        freeze(network, self.recipe)
        if self.recipe.data.looks and not _is_frozen(network):
            raise RecipeError(
                'data.looks keeps the maps of a frozen encoder; freeze it (start.freeze = "encoder.last"), '
                "or set data.looks to 0"
            )
        return network

    def prepare(self, network: nn.Module, moment: Moment) -> None:  # noqa: ARG002  # the same at any
        network.train()
        rest_frozen(network)

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        return parameter_groups(network, self.recipe, LAYERS)

    def plan_epoch(self, epoch: int) -> list[list[Request]]:
        return plan_epoch(
            len(self.train_data), batch_size=self.settings.batch_size, seed=self.seed, epoch=epoch
        )

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        return CaptionExamples(
            self.train_data,
            self.vocabulary,
            self.recipe.answer.max_length,
            self.recipe.picture.size,
            self.recipe.picture.frames,
            self.recipe.augment if augmented else None,
            self._looks,
            self._train_maps,
        )

    def collate(self, examples: Sequence[Example]) -> Batch:
        picture = self.recipe.picture
        shape = (*picture.size, 3)
        return collate(examples, (picture.frames, *shape) if picture.frames else shape)

    def losses(self, network: nn.Module, batch: Batch, moment: Moment) -> Mapping[str, Tensor]:
        maps, parts = self._maps(network, batch), {}
        if (share := self.recipe.loss.self_critical) < 1:
            told = self._told(network, maps, batch, moment)
            parts = {name: (1 - share) * part for name, part in told.items()}
        if share > 0:
            longest = self.recipe.answer.max_length
            parts["self_critical"] = share * self._critic.loss(
                network, maps, batch.indices.tolist(), max(2, batch.tokens.shape[1]), longest
            )
        return parts

    def _told(self, network: nn.Module, maps: Tensor, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """The losses of what people said, each word after true ones or in part the network's own."""
        settings, before = self.recipe.loss, words_before(batch.tokens)
        if (share := settings.own_words * moment.step / moment.total_steps) > 0:
            before = partly_own(network, maps, before, share)
        logits, weights = network(maps, before)
        said = batch.tokens != NOTHING
        each = F.cross_entropy(
            logits.flatten(0, 2).float(),
            batch.tokens.flatten(),
            reduction="none",
            ignore_index=NOTHING,
            label_smoothing=settings.label_smoothing,
        ).view_as(batch.tokens)
        parts = {"cross_entropy": (each.sum((1, 2)) / said.sum((1, 2))).mean()}
        if settings.attention > 0:
            looked = (weights * said[..., None]).sum(2)  # [P, N, cells]
            missed = (1 - looked).square().mean(2)
            is_caption = said.any(2)
            of_picture = (missed * is_caption).sum(1) / is_caption.sum(1)
            parts["attention"] = settings.attention * of_picture.mean()
        return parts

    def _maps(self, network: nn.Module, batch: Batch) -> Tensor:
        """The encoder's maps [P, …, C, rows, columns]; those of a frozen one are kept for later epochs."""
        seen = self.picture_input.to(batch.images_rgb_u8.device).normalise(batch.images_rgb_u8)
        if not self._looks or not _is_frozen(network):
            return maps_of(network, seen)
        looks: list[int] = batch.looks.tolist()
        if len(batch.unknown):
            with torch.no_grad():
                maps = maps_of(network, seen)
                self._train_maps.keep([looks[place] for place in batch.unknown.tolist()], maps)
        return self._train_maps.get(looks).to(batch.tokens.device)

    def expected_losses(self) -> Mapping[str, float]:
        told = 1 - self.recipe.loss.self_critical
        return {"cross_entropy": told * math.log(len(self.vocabulary))} if told else {}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        if self.valid_data is None:
            return {}
        captions = self._say_valid(network, self.valid_data, tell)
        scores = score_captions(captions, self.valid_data.references)
        return {
            self.score.name: scores.main,
            **{f"bleu_{order}": value for order, value in enumerate(scores.bleu, 1)},
            "rouge_l": float(scores.rouge_l.mean()),
            "as_told": float(scores.as_told.mean()),
        }

    def _say_valid(self, network: nn.Module, data: CaptionSet, tell: Tell) -> list[Caption]:
        known = self._valid_maps if _is_frozen(network) else MapMemory()
        return _say(network, self.recipe, data, self.vocabulary, known, tell)

    def answer_widths(self, network: nn.Module) -> tuple[int, int]:
        return network.get_parameter("decoder.words.weight").shape[0], len(self.vocabulary)

    def unused_classes(self) -> Sequence[str]:
        used = {word for captions in self.train_data.references for caption in captions for word in caption}
        return [word for word in self.vocabulary.words if word not in used and word not in SIGNS]

    def same_labels(self, batch: Batch) -> bool:
        return bool((batch.tokens == batch.tokens[:1]).all())

    def mismatched(self, batch: Batch) -> Batch:
        return Batch(batch.indices, batch.looks, batch.images_rgb_u8, batch.unknown, batch.tokens.roll(1, 0))

    def right_share(self, network: nn.Module, batch: Batch) -> float:
        logits, _ = network(self._maps(network, batch), words_before(batch.tokens))
        said = batch.tokens != NOTHING
        return float((logits.argmax(-1) == batch.tokens)[said].float().mean())

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        requests = sorted(chain.from_iterable(self.plan_epoch(0)), key=lambda one: one.index)
        plain, changed, examples = [], [], self.examples()
        for request in evenly(requests, most):
            example = examples[request]
            image = self._plain(request.index)
            words = " ".join(self.train_data.records[request.index].captions[0])
            plain.append(Tile(image, words))
            seen = image if example.image_rgb_u8 is None else example.image_rgb_u8
            changed.append(Tile(side_by_side(seen) if seen.ndim == 4 else seen, words))
        return plain, changed

    def _plain(self, index: int) -> NDArray[np.uint8]:
        """A training picture, or a few frames of a clip."""
        data = self.train_data
        return side_by_side(data.clip_path(index)) if self.recipe.picture.frames else data.read(index)

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[ExhibitTable]:
        data = self.valid_data
        if data is None:
            return ()
        captions = self._say_valid(network, data, tell)
        scores = score_captions(captions, data.references)
        chance = np.random.default_rng(self.seed).permutation(len(data))[:MOST_EXHIBITED]
        rows = [
            (
                data.records[place].file_name,
                " ".join(captions[place]),
                " ".join(data.records[place].captions[0]),
                f"{scores.cider_d[place]:.2f}",
            )
            for place in chance.tolist()
        ]
        sentence = (
            f"{len(rows)} validation pictures drawn by chance. Over all {len(data)} there are "
            f"{scores.distinct} different captions of {scores.words} different words."
        )
        return (ExhibitTable("Captions", sentence, ("picture", "said", "a person said", "CIDEr-D"), rows),)


def check_words(words: Sequence[str]) -> None:
    """DataError unless these words can be a vocabulary."""
    if tuple(words[: len(SIGNS)]) != SIGNS or len(set(words)) != len(words):
        raise DataError(
            f"data.classes must begin with {', '.join(SIGNS)} and name each word once; leave it out, and "
            "training counts the words"
        )
    if len(words) == len(SIGNS):
        raise DataError("no word of the captions is frequent enough; lower data.least_count")


def build(recipe: CaptionRecipe, n_words: int, widths: Mapping[str, int] | None = None) -> Captioner:
    """The network of the recipe with fresh weights; `widths` by the name of an axis stand in for the
    recipe's. Raises TrainingError for widths of another network."""
    return build_captioner(recipe.network, n_words, widths, size_hw=recipe.picture.size)


def load_split(recipe: CaptionRecipe, split: str) -> CaptionSet:
    """The pictures of data.train, data.valid or data.test. Raises DataError; RecipeError if the split is not
    given."""
    sources: tuple[CaptionSource, ...] = getattr(recipe.data, split)
    if not sources:
        raise RecipeError(f"the recipe has no data.{split}; add [[data.{split}]] with captions and pictures")
    root = recipe.data.root
    return merge(
        [
            formats.load(root / one.captions, root / one.pictures, one.split, recipe.data.format).fold(
                one.folds
            )
            for one in sources
        ]
    )


def answers(
    network: nn.Module, recipe: CaptionRecipe, data: CaptionSet, tell: Tell = silent
) -> list[Caption]:
    """The best caption of each picture of `data`, in order, searched for as the recipe says."""
    return _say(network, recipe, data, Vocabulary(recipe.data.classes), MapMemory(), tell)


def _say(
    network: nn.Module,
    recipe: CaptionRecipe,
    data: CaptionSet,
    vocabulary: Vocabulary,
    known: MapMemory,
    tell: Tell,
) -> list[Caption]:
    """Maps that are not `known` are computed and kept there."""
    device = next(network.parameters()).device
    picture_input = recipe.picture.as_input().to(device)
    captions = []
    for start in range(0, len(data), JUDGED_TOGETHER):
        indices = list(range(start, min(start + JUDGED_TOGETHER, len(data))))
        if unknown := [index for index in indices if index not in known]:
            sources = [source_of(data, index, recipe.picture) for index in unknown]
            seen = torch.cat([see(one, picture_input, recipe.picture.frames) for one in sources])
            known.keep(unknown, maps_of(network, seen))
        found = caption_maps(network, known.get(indices).to(device), options_of(recipe.answer))
        captions += [vocabulary.decode(tokens) for tokens in found.tokens[:, 0].tolist()]
        tell(indices[-1] + 1, len(data))
    return captions


def source_of(data: CaptionSet, index: int, picture: CaptionPicture) -> Picture | Clip:
    """What a network that sees `picture` is asked about: picture or clip `index`."""
    shrink = picture.as_input().shrink
    return data.clip(index, picture.frames, shrink) if picture.frames else data.picture(index, shrink)


def see(source: Picture | Clip, picture_input: ClassifierInput, frames: int) -> Tensor:
    """What the network gets of it: float [1, 3, h, w], or of a clip [1, frames, 3, h, w]."""
    device = picture_input.mean.device
    if isinstance(source, Picture):
        return picture_input(torch.from_numpy(source.image_rgb_u8).to(device))  # type: ignore[no-any-return]
    seen = picture_input.of_clip(torch.from_numpy(source.frames_rgb_u8).to(device))
    return seen[spread(len(seen), frames)][None]


def maps_of(network: nn.Module, seen: Tensor) -> Tensor:
    """The encoder's maps of pictures float [P, 3, h, w] -> [P, C, rows, columns], or of all frames of clips
    [P, T, 3, h, w] -> [P, T, C, rows, columns]."""
    images = seen.flatten(0, -4).contiguous(memory_format=torch.channels_last)
    maps: Tensor = _encoder(network)(images)
    return maps.unflatten(0, seen.shape[:-3])  # type: ignore[no-any-return]


def options_of(answer: CaptionAnswer) -> Options:
    return Options.of(answer.beam_size, answer.max_length, answer.length_power, answer.no_repeat)


def caption_maps(network: Any, maps: Tensor, options: Options) -> Found:
    """Captions of the encoder's maps [P, C, rows, columns], or of clips [P, T, C, rows, columns]."""
    memory = network.remember(maps)
    state = network.decoder.start(memory, int(options.beam_size), int(options.max_length))
    n_words = network.decoder.words.out_features
    return search(network.decoder.step, memory, state, options, memory.cells.shape[1], n_words)


def _encoder(network: nn.Module) -> nn.Module:
    """The network's, whatever wraps the network."""
    inner = getattr(network, "module", network)
    return inner.get_submodule("encoder")


def _is_frozen(network: nn.Module) -> bool:
    """Whether the encoder's maps stay what they are."""
    return not any(parameter.requires_grad for parameter in _encoder(network).parameters())
