"""The modules that are exported for classification: a picture or a clip of bytes goes in, probabilities come
out.

It is not for training, nor to be called for answers: the runtime does that.
"""

from torch import Tensor, nn

from tombola.export.tasks.canvases import canvases
from tombola.train.networks.classify.backbone_classifier import BackboneClassifier
from tombola.train.networks.classify.clip import ClipNetwork
from tombola.train.networks.classify.patches import Patches
from tombola.train.networks.inputs.classifier_input import ClassifierInput


class LookAtPicture(nn.Module):
    """Picture to the probability of each class, and where the network looked."""

    def __init__(self, network: BackboneClassifier | Patches, picture_input: ClassifierInput) -> None:
        """network: one with a pool."""
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """image: uint8 [H, W, 3], RGB. Returns probabilities as ClassifyPicture, and attention float32
        [rows, columns], the weight of each cell, their sum 1."""
        logits, weights = self.network.look(self.picture_input(image))
        return logits[0].softmax(dim=0), weights[0]


class NameClip(nn.Module):
    """Frames of a clip to the probability of each class, for each frame too where the network names those."""

    def __init__(self, network: ClipNetwork, picture_input: ClassifierInput) -> None:
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """frames: uint8 [n, H, W, 3], RGB. Returns probabilities float32 [classes], each 0..1, their sum 1,
        and where frames are named float32 [n, classes], whose mean they are."""
        seen = self.picture_input.normalise(canvases(self.picture_input, frames).permute(0, 3, 1, 2))
        rows = self.network(seen).softmax(dim=1)
        return (rows.mean(0), rows) if self.network.of_frames else (rows[0],)


class ClassifyPicture(nn.Module):
    """Picture to the probability of each class."""

    def __init__(self, network: nn.Module, picture_input: ClassifierInput) -> None:
        """network: float32 [1, channels, h, w] -> logits [1, classes]."""
        super().__init__()
        self.picture_input = picture_input
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """image: uint8 [H, W, 3], RGB. Returns probabilities float32 [classes], each 0..1, their sum 1."""
        return (self.network(self.picture_input(image))[0].softmax(dim=0),)
