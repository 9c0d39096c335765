"""The distance of two networks' class scores."""

from torch import Tensor
from torch.nn import functional as F


def soft_label_distance(logits: Tensor, told: Tensor, temperature: float) -> Tensor:
    """float32 [K]: T² · KL(softmax(told / T) ‖ softmax(logits / T)) of [K, classes] (Hinton et al. 2015).

    T² keeps the size of the gradient where T changes.
    """
    own, other = ((one.float() / temperature).log_softmax(1) for one in (logits, told))
    return temperature**2 * F.kl_div(own, other, reduction="none", log_target=True).sum(1)
