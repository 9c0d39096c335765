"""First weights: good ones, and the bad ones that a lesson needs."""

from typing import Literal

from torch import nn

InitialisationName = Literal["default", "xavier", "he", "zeros", "normal"]


def initialise(network: nn.Module, name: InitialisationName) -> None:
    """Draw the weights of every convolution and linear layer anew, in place, from torch's random numbers.

    default leaves PyTorch's: U(-b, b), b = 1 / sqrt(fan_in). xavier: U(-b, b), b = sqrt(6 / (fan_in +
    fan_out)) (Glorot & Bengio 2010, equation 16). he: N(0, 2 / fan_in) (He et al. 2015, equation 10). zeros
    and normal (standard deviation 0.1 whatever the width) are known to fail. Biases become 0. Under xavier
    and he the layer `head` keeps its default, small enough for a first loss near log(classes).
    """
    if name == "default":
        return
    for path, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or (path == "head" and name in ("xavier", "he")):
            continue
        if name == "xavier":
            nn.init.xavier_uniform_(module.weight)
        elif name == "he":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif name == "zeros":
            nn.init.zeros_(module.weight)
        else:
            nn.init.normal_(module.weight, std=0.1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
