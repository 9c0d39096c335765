"""Detection: what a batch, a loss and a score are for it."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.errors import DataError, RecipeError
from tombola.runtime.pictures.picture import Picture
from tombola.train.data.augment.augment import AugmentSettings
from tombola.train.data.boxes import formats
from tombola.train.data.boxes.detection_set import DetectionSet, merge
from tombola.train.data.present import check_present
from tombola.train.drawing.contact_sheet import Tile
from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Prediction, Truth
from tombola.train.metrics.score import Score
from tombola.train.networks.axis import Axes
from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.lesson import TAUGHT, Lesson
from tombola.train.networks.detect.sampling import Target, Targets
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.networks.layers.boxes import clip, corner
from tombola.train.recipe.recipe import to_toml
from tombola.train.regions.proposals_file import with_proposals
from tombola.train.start.freeze import rest_frozen
from tombola.train.start.parent import Layers, freeze, lineage, parameter_groups, start_network
from tombola.train.start.teacher import load_teacher
from tombola.train.tasks.detect.batches import Batch, DetectExamples, Request, collate, plan_epoch
from tombola.train.tasks.detect.recipe import DetectRecipe, DetectSource
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Exhibit, ExhibitTable, Tell, evenly, silent

# Low enough that average precision sees the whole curve.
SCORING_THRESHOLD = 0.01

LAYERS = Layers(last=("roi_head.classes.", "roi_head.offsets."), body="backbone")

# Augmentation that changes nothing.
UNCHANGED = AugmentSettings(
    flip=0, crop=0, scale=(1, 1), stretch=0, brightness=0, contrast=0, saturation=0, hue=0, mosaic=0
)


class DetectTask:
    """Faster R-CNN on labelled photos; scored by VOC07 mAP at IoU 0.5."""

    score = Score("voc07_map", "share", higher_is_better=True)

    def __init__(self, recipe: DetectRecipe, widths: Mapping[str, int] | None = None) -> None:
        """Load the data and check it. Raises DataError."""
        self.recipe = recipe
        self.widths: Mapping[str, int] = widths or {}
        self.name = recipe.name
        self.settings = recipe.training
        self.seed = recipe.seed
        self.train_data = load_split(recipe, "train")
        self.classes = self.train_data.classes
        self.valid_data = load_split(recipe, "valid", self.classes) if recipe.data.valid else None
        self.picture_input = recipe.picture.as_input()

    def check_test(self) -> None:
        data = self.recipe.data
        named = [
            name
            for source in data.test
            for name in (source.annotations, source.pictures, source.list)
            if name
        ]
        check_present(data.root, named, "data.test")

    def check_shares(self) -> None:
        if trains_batch_norm(self.recipe):
            raise RecipeError(
                "network.batch_norm would learn from each process's share of a batch alone; use one process, "
                "or pretrained start.weights with batch_norm = 'frozen'"
            )
        if self.recipe.roi.dropout > 0:
            raise RecipeError(
                f"roi.dropout = {self.recipe.roi.dropout} would drop other units in each process; use one "
                "process, or 0"
            )

    def recipe_toml(self) -> str:
        return to_toml(self.recipe.with_classes(self.classes))

    def lineage(self) -> dict[str, Any]:
        return lineage(self.recipe, self.classes, LAYERS)

    def build_network(self, *, start: bool = True) -> FasterRCNN:
        torch.manual_seed(self.seed)
        network = build(self.recipe, len(self.classes), self.widths)
        # What is narrower than its recipe has no first weights but its own.
        if start and not self.widths:
            start_network(
                network, self.recipe, self.classes, LAYERS, norms_learn=trains_batch_norm(self.recipe)
            )
        freeze(network, self.recipe)
        return network

    def prepare(self, network: nn.Module, moment: Moment) -> None:  # noqa: ARG002  # the same at any
        network.train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and not trains_batch_norm(self.recipe):
                module.eval()
        rest_frozen(network)

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        return parameter_groups(network, self.recipe, LAYERS)

    def plan_epoch(self, epoch: int) -> list[list[Request]]:
        picture = self.recipe.picture
        return plan_epoch(
            self.train_data.records,
            batch_size=self.settings.batch_size,
            sizes=picture.training_sizes or (picture.size,),
            divisor=FasterRCNN.size_divisor,
            seed=self.seed,
            epoch=epoch,
            joined=epoch < self.settings.epochs * (1 - self.recipe.augment.clean_share),
        )

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        settings = self.recipe.augment if augmented else UNCHANGED
        return DetectExamples(self.train_data, settings, self.recipe.picture.mean)

    def collate(self, examples: Sequence[Any]) -> Batch:
        return collate(examples)

    def losses(self, network: nn.Module, batch: Batch, moment: Moment) -> Mapping[str, Tensor]:  # noqa: ARG002
        losses: Mapping[str, Tensor] = network(self._seen(batch), batch.targets)
        return losses

    def load_teacher(self) -> nn.Module | None:
        teacher = load_teacher(self.recipe, self.classes, build)
        if teacher is None:
            return None
        for key in ("network.proposals", "network.pyramid", "proposals.anchor_sizes_px", "roi.box_classes"):
            then, now = (_value(recipe, key) for recipe in (teacher.recipe, self.recipe))
            if then != now:
                raise RecipeError(f"{key} of distill.teacher is {then!r}, here it is {now!r}; set it alike")
        return teacher.network

    def lesson(self, teacher: nn.Module, batch: Batch) -> Lesson:
        assert isinstance(teacher, FasterRCNN)
        temperature = self.recipe.distill.temperature
        return teacher.teach(self._seen(batch), batch.targets, temperature=temperature)

    def taught_losses(
        self,
        network: nn.Module,
        batch: Batch,
        moment: Moment,  # noqa: ARG002  # the same at any
        lesson: Lesson,
    ) -> Mapping[str, Tensor]:
        losses: Mapping[str, Tensor] = network(self._seen(batch), batch.targets, lesson)
        weight = self.recipe.distill.weight
        return {name: weight * one if name.startswith(TAUGHT) else one for name, one in losses.items()}

    def _seen(self, batch: Batch) -> Tensor:
        images = self.picture_input.to(batch.images_u8.device).normalise(batch.images_u8)
        return images.contiguous(memory_format=torch.channels_last)

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        if self.valid_data is None:
            return {}
        predictions = answers(network, self.recipe, self.valid_data, tell)
        scores = voc07_map(predictions, truths(self.valid_data), self.classes)
        return {self.score.name: scores.mean_average_precision}

    def answer_widths(self, network: nn.Module) -> tuple[int, int]:
        assert isinstance(network, FasterRCNN)
        used = np.unique(np.concatenate([record.labels for record in self.train_data.records]))
        return network.roi_head.classes.out_features - 1, len(used)  # background has no label

    def expected_losses(self) -> Mapping[str, float]:
        class_loss = {"class": math.log(len(self.classes) + 1)}
        if self.recipe.network.proposals == "file":
            return class_loss
        return {"objectness": math.log(2), **class_loss}

    def unused_classes(self) -> Sequence[str]:
        used = set(np.concatenate([record.labels for record in self.train_data.records]).tolist())
        return [name for label, name in enumerate(self.classes) if label not in used]

    def same_labels(self, batch: Batch) -> bool:
        first, *others = batch.targets
        return all(
            torch.equal(first.boxes_xyxy, other.boxes_xyxy) and torch.equal(first.labels, other.labels)
            for other in others
        )

    def mismatched(self, batch: Batch) -> Batch:
        targets = list(batch.targets)
        return Batch(batch.images_u8, Targets([*targets[1:], *targets[:1]]))

    def right_share(self, network: nn.Module, batch: Batch) -> float:
        """Share of the objects that are found at IoU 0.5 under their own name; difficult ones are not
        asked."""
        assert isinstance(network, FasterRCNN)
        images = self._seen(batch)
        size_hw = (images.shape[2], images.shape[3])
        answer = self.recipe.answer
        found = asked = 0
        for image, target in zip(images.split(1), batch.targets, strict=True):
            boxes, _, labels = network.detect(
                image,
                size_hw,
                images.new_tensor(answer.score_threshold),
                images.new_tensor(answer.iou_threshold),
                torch.tensor(answer.max_detections, device=images.device),
                target.proposals_xyxy if network.proposals is None else None,
            )
            hits = _found(boxes.cpu().numpy(), labels.cpu().numpy(), target)
            found, asked = found + int(hits.sum()), asked + len(hits)
        return found / asked if asked else 1.0

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        requests = sorted(chain.from_iterable(self.plan_epoch(0)), key=lambda one: one.index)
        plain, changed, examples = [], [], self.examples()
        for request in evenly(requests, most):
            record = self.train_data.records[request.index]
            image_rgb_u8 = self.train_data.read(request.index)
            plain.append(self._tile(image_rgb_u8, record.file_name, record.boxes_xyxy, record.labels))
            canvas_rgb_u8, target = examples[request]
            boxes_xyxy, labels = target.boxes_xyxy.numpy(), target.labels.numpy()
            changed.append(self._tile(canvas_rgb_u8, record.file_name, boxes_xyxy, labels))
        return plain, changed

    def _tile(
        self,
        image_rgb_u8: NDArray[np.uint8],
        name: str,
        boxes_xyxy: NDArray[np.float32],
        labels: NDArray[np.int64],
    ) -> Tile:
        return Tile(image_rgb_u8, name, boxes_xyxy, labels, tuple(self.classes[label] for label in labels))

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit | ExhibitTable]:
        if self.valid_data is None:
            return ()
        from tombola.train.tasks.detect.mistake_exhibits import mistake_exhibits
        from tombola.train.tasks.detect.score_exhibits import score_exhibits

        predictions = answers(network, self.recipe, self.valid_data, tell)
        cut = self.recipe.answer.score_threshold
        return [
            *score_exhibits(predictions, truths(self.valid_data), self.classes, cut),
            *mistake_exhibits(self.valid_data, predictions, cut),
        ]


def _value(recipe: DetectRecipe, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(recipe, section), name)


def _found(boxes_xyxy: NDArray[np.float32], labels: NDArray[np.int64], target: Target) -> NDArray[np.bool_]:
    """bool [n]: which of the target's objects, difficult ones apart, are among the boxes [k, 4]."""
    asked = ~target.difficult.cpu().numpy()
    wanted_xyxy, wanted = target.boxes_xyxy.cpu().numpy()[asked], target.labels.cpu().numpy()[asked]
    hits = (box_iou(boxes_xyxy, wanted_xyxy) >= 0.5) & (labels[:, None] == wanted[None])
    return np.asarray(hits.any(axis=0), np.bool_)


def build(recipe: DetectRecipe, n_classes: int, widths: Mapping[str, int] | None = None) -> FasterRCNN:
    """The network of the recipe with fresh weights; `widths` by the name of an axis stand in for the
    recipe's. Raises TrainingError for widths of another network."""
    axes = Axes(widths)
    network = FasterRCNN(
        build_backbone(
            recipe.network.backbone,
            width=recipe.network.width,
            strides=(8, 16, 32) if recipe.network.pyramid else (16,),
            axes=axes,
        ),
        n_classes,
        channels=recipe.network.channels,
        pyramid=recipe.network.pyramid,
        proposals=recipe.proposals if recipe.network.proposals == "learned" else None,
        roi=recipe.roi,
        axes=axes,
    )
    axes.check_all_used()
    return network


def trains_batch_norm(recipe: DetectRecipe) -> bool:
    """Whether batch norm learns its own statistics rather than keep those of pretrained weights."""
    choice = recipe.network.batch_norm
    return choice == "trained" or (choice == "auto" and recipe.start.weights is None)


def load_split(recipe: DetectRecipe, split: str, classes: Sequence[str] | None = None) -> DetectionSet:
    """The pictures of data.train, data.valid or data.test, with proposals where the network takes them from a
    file. Raises DataError; RecipeError if the split is not given."""
    labelled = load_labelled(recipe, split, classes)
    if recipe.network.proposals == "learned":
        return labelled
    return with_proposals(labelled, proposals_path(recipe, split))


def proposals_path(recipe: DetectRecipe, split: str) -> Path:
    """The file of a split's proposals."""
    return recipe.data.root / recipe.data.proposals / f"{split}.npz"


def load_labelled(recipe: DetectRecipe, split: str, classes: Sequence[str] | None = None) -> DetectionSet:
    """As `load_split`, without proposals."""
    sources: tuple[DetectSource, ...] = getattr(recipe.data, split)
    if not sources:
        raise RecipeError(
            f"the recipe has no data.{split}; add [[data.{split}]] with annotations and pictures"
        )
    root = recipe.data.root
    wanted = classes or recipe.data.classes or None
    sets = [
        formats.load(
            root / source.annotations,
            root / source.pictures,
            wanted,
            recipe.data.format,
            root / source.list if source.list else None,
        )
        .fold(source.folds)
        .without(source.without)
        for source in sources
    ]
    merged = merge(sets)
    if not any((~record.difficult).any() for record in merged.records):
        raise DataError(
            f"the {len(merged)} pictures of data.{split} hold no box to find; choose other folds or sets"
        )
    return merged


def truths(data: DetectionSet) -> list[Truth]:
    """What a perfect detector would say."""
    return [Truth(record.boxes_xyxy, record.labels, record.difficult) for record in data.records]


def predictor(
    network: FasterRCNN, picture_input: PictureInput, recipe: DetectRecipe
) -> Callable[[Picture, NDArray[np.float32] | None], Prediction]:
    """The network as a function: picture, and of Fast R-CNN proposals_xyxy float32 [k, 4] -> Prediction, all
    boxes in the picture's pixels before its halvings."""
    device = next(network.parameters()).device
    thresholds = (
        torch.tensor(SCORING_THRESHOLD, device=device),
        torch.tensor(recipe.answer.iou_threshold, device=device),
        torch.tensor(recipe.answer.max_detections, device=device),
    )

    def predict(picture: Picture, proposals_xyxy: NDArray[np.float32] | None) -> Prediction:
        image_rgb_u8 = picture.image_rgb_u8
        image, size_hw, factors = picture_input(torch.from_numpy(image_rgb_u8).to(device))
        factors = factors * 2**picture.halvings
        given = None if proposals_xyxy is None else torch.from_numpy(proposals_xyxy).to(device) / factors
        boxes, scores, labels = network.detect(
            image.contiguous(memory_format=torch.channels_last), size_hw, *thresholds, given
        )
        limits = corner(image_rgb_u8.shape[1], image_rgb_u8.shape[0], boxes) * 2**picture.halvings
        boxes_xyxy = clip(boxes * factors, limits)
        return Prediction(boxes_xyxy.cpu().numpy(), scores.cpu().numpy(), labels.cpu().numpy())

    return predict


def answers(
    network: nn.Module, recipe: DetectRecipe, data: DetectionSet, tell: Tell = silent
) -> list[Prediction]:
    """What the network finds in each picture of `data`, in order. DataError where it takes proposals and a
    picture has none."""
    assert isinstance(network, FasterRCNN)
    picture_input, predictions = recipe.picture.as_input(), []
    predict = predictor(network, picture_input.to(next(network.parameters()).device), recipe)
    for index, record in enumerate(data.records):
        given = record.proposals_xyxy if network.proposals is None else None
        if network.proposals is None and given is None:
            raise DataError(
                f"{record.file_name} has no proposals, which this network takes from a file; score it on a "
                "split of its recipe, for which `tombola data propose` makes them"
            )
        predictions.append(predict(data.picture(index, picture_input.shrink), given))
        tell(index + 1, len(data))
    return predictions
