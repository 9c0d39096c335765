"""The module that is exported for classification: a picture of bytes goes in, probabilities come out.

It is not for training, nor to be called for answers: the runtime does that.
"""

from torch import Tensor, nn

from tombola.train.networks.inputs.classifier_input import ClassifierInput


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
