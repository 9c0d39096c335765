"""The recipe of a detector."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tombola.train.data.pictures.augment import AugmentSettings
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.recipe.recipe import RunName, Section, TrainingSettings

Level = Annotated[float, Field(ge=0, le=255)]
Scale = Annotated[float, Field(gt=0)]


class DetectSource(Section):
    """One labelled set: paths under data.root, and the folds of it that are meant ("0/5": every fifth
    picture by file name, starting with the first; "!0/5": all others), without the pictures named."""

    annotations: str
    pictures: str
    folds: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class DetectData(Section):
    """Where the pictures are. `valid` chooses the best weights; `test` is touched by `evaluate` alone."""

    format: Literal["coco", "voc", "yolo"] = "coco"
    root: str = "."
    classes: tuple[str, ...] = ()
    train: tuple[DetectSource, ...] = Field(min_length=1)
    valid: tuple[DetectSource, ...] = ()
    test: tuple[DetectSource, ...] = ()
    rights: str = ""


class DetectNetwork(Section):
    """Backbone and neck. frozen_stages counts from the stem. batch_norm "frozen" keeps the statistics of
    pretrained weights, "trained" learns its own, which needs large batches; "auto" is frozen with
    backbone_weights, else trained.
    """

    backbone: str = "efficientnet_lite0"
    backbone_weights: str = ""
    width: float = Field(default=1.0, gt=0, le=4)
    frozen_stages: int = Field(default=0, ge=0)
    batch_norm: Literal["auto", "frozen", "trained"] = "auto"
    pyramid: bool = True
    channels: int = Field(default=96, ge=8)


class DetectPicture(Section):
    """What the network sees: the longer side in pixels (training draws from training_sizes), and (x - mean)
    * scale on 0..255 RGB."""

    size: int = Field(default=320, ge=32, le=4096)
    training_sizes: tuple[Annotated[int, Field(ge=32, le=4096)], ...] = ()
    mean: tuple[Level, Level, Level] = (127.0, 127.0, 127.0)
    scale: tuple[Scale, Scale, Scale] = (1 / 128, 1 / 128, 1 / 128)


class DetectAnswer(Section):
    """Defaults that the exported file carries."""

    score_threshold: float = Field(default=0.5, ge=0, le=1)
    iou_threshold: float = Field(default=0.5, ge=0, le=1)
    max_detections: int = Field(default=100, ge=1)


class DetectRecipe(Section):
    """Everything that decides what a detector becomes."""

    task: Literal["detect"]
    name: RunName = "detector"
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: DetectData
    network: DetectNetwork = DetectNetwork()
    proposals: ProposalSettings = ProposalSettings()
    roi: RoiSettings = RoiSettings()
    picture: DetectPicture = DetectPicture()
    augment: AugmentSettings = AugmentSettings()
    answer: DetectAnswer = DetectAnswer()
    training: TrainingSettings = TrainingSettings()

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

    def located(self, folder: Path) -> "DetectRecipe":
        """The same recipe with paths made absolute; relative ones are meant from the recipe's folder."""
        root = str((folder / self.data.root).resolve())
        weights = self.network.backbone_weights
        weights = str((folder / weights).resolve()) if weights else ""
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"root": root}),
                "network": self.network.model_copy(update={"backbone_weights": weights}),
            }
        )
