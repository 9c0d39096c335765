"""Batch norms (Ioffe & Szegedy 2015) and layer norms (Ba et al. 2016) that know their axes."""

from torch import nn

from tombola.train.networks.axis import Channels, Layouts, entries


class MapNorm(nn.BatchNorm2d):
    """Batch norm of maps, float [B, channels, H, W]."""

    def __init__(self, channels: Channels, *, eps: float = 1e-5) -> None:
        super().__init__(entries(channels), eps=eps)
        self.layouts = _layouts(channels)


class VectorNorm(nn.BatchNorm1d):
    """Batch norm of vectors, float [B, channels]."""

    def __init__(self, channels: Channels) -> None:
        super().__init__(entries(channels))
        self.layouts = _layouts(channels)


class LayerNorm(nn.LayerNorm):
    """Layer norm over the last dimension, float [..., channels]."""

    def __init__(self, channels: Channels) -> None:
        super().__init__(entries(channels))
        self.layouts: Layouts = {"weight": (channels,), "bias": (channels,)}


def _layouts(channels: Channels) -> Layouts:
    names = ("weight", "bias", "running_mean", "running_var")
    return {**dict.fromkeys(names, (channels,)), "num_batches_tracked": ()}
