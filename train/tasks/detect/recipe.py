"""The recipe of a detector."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tombola.train.data.augment.augment import AugmentSettings
from tombola.train.data.boxes.layouts import classes_of, find_sets
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.recipe.recipe import (
    DataSettings,
    Level,
    PictureSettings,
    RunName,
    Scale,
    Section,
    TaughtRecipe,
)


class DetectSource(Section):
    """One labelled set: annotations (a file or folder) and pictures (a folder or tar), paths under data.root,
    and the folds of it that are meant ("0/5": every fifth
    picture by file name, starting with the first; "!0/5": all others), without the pictures named. `list` is
    a file that names the pictures that are meant: "ImageSets/Main/train.txt"."""

    annotations: str
    pictures: str
    list: str = ""
    folds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class DetectData(DataSettings):
    """Where the pictures are. `valid` chooses the best weights; `test` is touched by `evaluate` alone.

    format: how the boxes are written down. classes: their names in the order of the labels, without it as the
    annotations have them. rights: whose the pictures are.
    Without train, valid and test they are what `root` holds: a YOLO data.yaml, a VOC or COCO root, a folder
    with a folder a set. `proposals` is the folder under root of train.npz, valid.npz and test.npz, which
    `tombola data propose` writes.
    """

    format: Literal["coco", "voc", "yolo"] = "coco"
    train: tuple[DetectSource, ...] = ()
    valid: tuple[DetectSource, ...] = ()
    test: tuple[DetectSource, ...] = ()
    proposals: str = "proposals"

    @model_validator(mode="after")
    def _sets_of_root(self) -> "DetectData":
        if self.train:
            return self
        sets = {} if self.valid or self.test else find_sets(self.root)
        if not sets:
            raise ValueError(
                f"train is missing, and {self.root} is no data.yaml, VOC or COCO root, nor a folder with a "
                "folder a set; add [[data.train]] with annotations and pictures"
            )
        if "train" not in sets:
            raise ValueError(
                f"{self.root} holds the sets {', '.join(sets)} but no train; name them in [[data.train]]"
            )
        found = {
            split: tuple(
                DetectSource(
                    annotations=str(one.annotations),
                    pictures=str(one.pictures),
                    list=str(one.listed or ""),
                )
                for one in sources
            )
            for split, sources in sets.items()
        }
        return self.model_copy(
            update={
                **found,
                "root": self.root if self.root.is_dir() else self.root.parent,
                "classes": self.classes or classes_of(self.root),
                "format": sets["train"][0].format_name,
            }
        )


class DetectNetwork(Section):
    """Backbone and neck. width multiplies the backbone's channels. With pyramid three maps of `channels` see
    small and large things, without it one map sees all. batch_norm "frozen" keeps the statistics of the
    weights that start.weights gives, "trained" learns its own, which needs large batches; "auto" is frozen
    with start.weights, else trained.
    proposals "learned" is Faster R-CNN; "file" is Fast R-CNN, which is given those in data.proposals.
    """

    backbone: str = "efficientnet_lite0"
    width: float = Field(default=1.0, gt=0, le=4)
    batch_norm: Literal["auto", "frozen", "trained"] = "auto"
    proposals: Literal["learned", "file"] = "learned"
    pyramid: bool = True
    channels: int = Field(default=96, ge=8)


class DetectPicture(PictureSettings):
    """What the network sees: size, the longer side in pixels (training draws from training_sizes), and
    (x - mean) * scale on 0..255 RGB."""

    size: int = Field(default=320, ge=32, le=4096)
    training_sizes: tuple[Annotated[int, Field(ge=32, le=4096)], ...] = ()
    mean: tuple[Level, Level, Level] = (127.0, 127.0, 127.0)
    scale: tuple[Scale, Scale, Scale] = (1 / 128, 1 / 128, 1 / 128)

    def as_input(self) -> PictureInput:
        """The module that does it."""
        return PictureInput(self.size, FasterRCNN.size_divisor, self.mean, self.scale)


class DetectAnswer(Section):
    """Defaults that the exported file carries: boxes above score_threshold are answered, of two of a class
    that overlap by more than iou_threshold the better one, and max_detections at most."""

    score_threshold: float = Field(default=0.5, ge=0, le=1)
    iou_threshold: float = Field(default=0.5, ge=0, le=1)
    max_detections: int = Field(default=100, ge=1)


class DetectRecipe(TaughtRecipe):
    """Everything that decides what a detector becomes. task says that it is one, name what its run is called,
    and seed what is drawn at random. start.weights may be public ImageNet weights of the
    backbone alone, too."""

    task: Literal["detect"]
    name: RunName = "detector"
    data: DetectData
    network: DetectNetwork = DetectNetwork()
    proposals: ProposalSettings = ProposalSettings()
    roi: RoiSettings = RoiSettings()
    picture: DetectPicture = DetectPicture()
    augment: AugmentSettings = AugmentSettings()
    answer: DetectAnswer = DetectAnswer()

    @model_validator(mode="before")
    @classmethod
    def _elder_keys(cls, table: Any) -> Any:
        """network.backbone_weights and network.frozen_stages, from before every task had [start]."""
        network, start = (table.get(key, {}) for key in ("network", "start"))
        if not (isinstance(network, dict) and isinstance(start, dict)):
            return table
        network, start = dict(network), dict(start)
        if "weights" not in start and "backbone_weights" in network:
            start["weights"] = network.pop("backbone_weights")
        if "freeze" not in start and isinstance(network.get("frozen_stages"), int):
            frozen = network.pop("frozen_stages")
            start["freeze"] = f"backbone.stages.{frozen - 1}" if frozen > 0 else ""
        return {**table, "network": network, "start": start}

    @model_validator(mode="after")
    def _levels_fit(self) -> "DetectRecipe":
        levels = 3 if self.network.pyramid else 1
        sizes = self.proposals.anchor_sizes_px
        if len(sizes) != levels or len({len(level) for level in sizes}) != 1:
            raise ValueError(
                f"proposals.anchor_sizes_px needs {levels} lists of equal length "
                f"(network.pyramid = {str(self.network.pyramid).lower()}), got {[list(s) for s in sizes]}"
            )
        return self
