"""The operators that plain PyTorch lacks, as custom ops with an eager meaning.

Each is one node of the graph that `torch.export` sees, so that the export can translate it to the ONNX
operator of the same meaning instead of tracing through its loops. They run on any device that PyTorch has.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tombola.runtime.pictures.shrink import Shrink, halve
from tombola.train.networks.layers.boxes import pairwise_iou
from tombola.train.resize.bilinear import bilinear


@torch.library.custom_op("tombola::batched_nms", mutates_args=())
def batched_nms(
    boxes_xyxy: Tensor, scores: Tensor, iou_threshold: Tensor, score_threshold: Tensor, max_per_class: int
) -> Tensor:
    """Greedy non-maximum suppression inside each class; the meaning of ONNX NonMaxSuppression.

    boxes_xyxy: float32 [C, N, 4]. scores: float32 [C, N]. iou_threshold, score_threshold: float32 [].
    A box is kept if its score is above score_threshold and its IoU with every better kept box of its class is
    at most iou_threshold; at most max_per_class a class. Returns int64 [M, 2], rows (class, box), classes in
    order, best first inside a class; ties keep the lower box index.
    """
    if scores.shape[1] == 0:
        return scores.new_empty((0, 2), dtype=torch.int64)
    order = scores.sort(dim=1, descending=True, stable=True).indices  # [C, N]
    ranked_boxes = boxes_xyxy.gather(1, order[..., None].expand(-1, -1, 4))
    ranked_scores = scores.gather(1, order)
    alive = ranked_scores > score_threshold
    overlaps = pairwise_iou(ranked_boxes, ranked_boxes) > iou_threshold  # [C, N, N]
    suppresses = (overlaps & alive[:, :, None] & alive[:, None, :]).triu(diagonal=1).float()
    # Greedy suppression is the fixed point of "kept = alive and not suppressed by a kept one": each sweep
    # settles at least one more rank of every class, and in practice the whole list after a handful of sweeps.
    kept = alive
    while True:
        suppressed = torch.matmul(kept[:, None, :].float(), suppresses)[:, 0] > 0
        settled = alive & ~suppressed
        if torch.equal(settled, kept):
            break
        kept = settled
    kept = kept & (kept.cumsum(dim=1) <= max_per_class)
    class_index, rank = kept.nonzero(as_tuple=True)
    return torch.stack([class_index, order[class_index, rank]], dim=1)


@batched_nms.register_fake
def _(
    boxes_xyxy: Tensor, scores: Tensor, iou_threshold: Tensor, score_threshold: Tensor, max_per_class: int
) -> Tensor:
    kept = torch.library.get_ctx().new_dynamic_size()
    return scores.new_empty((kept, 2), dtype=torch.int64)


@torch.library.custom_op("tombola::roi_align", mutates_args=())
def roi_align(
    features: Tensor,
    rois_xyxy: Tensor,
    picture_index: Tensor,
    spatial_scale: float,
    output_size: int,
    sampling_ratio: int,
) -> Tensor:
    """RoI Align (He et al. 2017, section 3), averaged, half-pixel; the meaning of ONNX RoiAlign.

    features: float32 [B, C, H, W]. rois_xyxy: float32 [K, 4] in pixels of the picture; no gradient flows to
    them. picture_index: int64 [K], the row of `features` each RoI lies in. spatial_scale: feature cells per
    pixel. Returns float32 [K, C, S, S] for S = output_size, each bin the mean of sampling_ratio² bilinear
    samples.

    Bilinear sampling on a grid is separable, so each RoI is two small matrix products: rows, then columns.
    """
    channels = features.shape[1]
    pooled = features.new_empty((rois_xyxy.shape[0], channels, output_size, output_size))
    weights_y, weights_x = _grid_weights(features, rois_xyxy, spatial_scale, output_size, sampling_ratio)
    for picture, feature_map in enumerate(features):  # [C, H, W]
        chosen = (picture_index == picture).nonzero()[:, 0]
        if len(chosen) == 0:
            continue
        rows = torch.matmul(weights_y[chosen].flatten(0, 1), feature_map.permute(1, 0, 2).flatten(1))
        rows = rows.view(len(chosen), output_size * channels, -1)  # [k, S*C, W]
        bins = torch.bmm(rows, weights_x[chosen].transpose(1, 2))  # [k, S*C, S]
        pooled[chosen] = bins.view(len(chosen), output_size, channels, output_size).transpose(1, 2)
    return pooled


@roi_align.register_fake
def _(
    features: Tensor,
    rois_xyxy: Tensor,
    picture_index: Tensor,
    spatial_scale: float,
    output_size: int,
    sampling_ratio: int,
) -> Tensor:
    return features.new_empty((rois_xyxy.shape[0], features.shape[1], output_size, output_size))


def _grid_weights(
    features: Tensor, rois_xyxy: Tensor, spatial_scale: float, output_size: int, sampling_ratio: int
) -> tuple[Tensor, Tensor]:
    """The bilinear weights of every bin, along y [K, S, H] and along x [K, S, W]."""
    height, width = features.shape[2:]
    rois = rois_xyxy.to(features.dtype) * spatial_scale - 0.5
    steps = (torch.arange(output_size * sampling_ratio, device=rois.device, dtype=rois.dtype) + 0.5) / (
        output_size * sampling_ratio
    )

    def along(low: Tensor, high: Tensor, length: int) -> Tensor:
        position = low[:, None] + (high - low)[:, None] * steps  # [K, S * sampling_ratio]
        inside = (position >= -1.0) & (position <= length)
        cell = torch.arange(length, device=rois.device, dtype=rois.dtype)
        tent = (1.0 - (position.clamp(0.0, length - 1.0)[..., None] - cell).abs()).clamp(min=0.0)
        weights = tent * inside[..., None]
        return weights.view(len(rois), output_size, sampling_ratio, length).mean(dim=2)

    return along(rois[:, 1], rois[:, 3], height), along(rois[:, 0], rois[:, 2], width)


def _roi_align_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, rois_xyxy, picture_index, *settings = inputs
    ctx.save_for_backward(rois_xyxy, picture_index)
    ctx.feature_shape = features.shape
    ctx.settings = settings


def _roi_align_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    rois_xyxy, picture_index = ctx.saved_tensors
    _, channels, height, width = ctx.feature_shape
    grad_features = grad.new_zeros(ctx.feature_shape)
    weights_y, weights_x = _grid_weights(grad_features, rois_xyxy, *ctx.settings)
    for picture in range(ctx.feature_shape[0]):
        chosen = (picture_index == picture).nonzero()[:, 0]
        if len(chosen) == 0:
            continue
        output_size = grad.shape[2]
        bins = grad[chosen].transpose(1, 2).reshape(len(chosen), output_size * channels, output_size)
        rows = torch.bmm(bins, weights_x[chosen]).view(len(chosen) * output_size, channels * width)
        cells = torch.matmul(weights_y[chosen].flatten(0, 1).t(), rows)  # [H, C*W]
        grad_features[picture] = cells.view(height, channels, width).permute(1, 0, 2)
    return grad_features, None, None, None, None, None


roi_align.register_autograd(_roi_align_backward, setup_context=_roi_align_setup)
# Corners rounded to bfloat16 would be off by a pixel.
for _device in ("cpu", "cuda"):
    roi_align.register_autocast(_device, torch.float32)


# Each RoI is pooled from a copy of its whole map; this many copies exist at a time.
_POOLED_AT_ONCE = 64


@torch.library.custom_op("tombola::roi_pool", mutates_args=())
def roi_pool(
    features: Tensor, rois_xyxy: Tensor, picture_index: Tensor, spatial_scale: float, output_size: int
) -> Tensor:
    """RoI max pooling (Girshick 2015, section 2.1) on whole cells; the meaning of ONNX MaxRoiPool.

    Arguments and result as for `roi_align`; an empty bin is 0.
    """
    chunks = [
        _max_in_bins(features, rois_xyxy[part], picture_index[part], spatial_scale, output_size)
        for part in torch.arange(len(rois_xyxy)).split(_POOLED_AT_ONCE)
    ]
    return torch.cat(chunks)


@roi_pool.register_fake
def _(
    features: Tensor, rois_xyxy: Tensor, picture_index: Tensor, spatial_scale: float, output_size: int
) -> Tensor:
    return features.new_empty((rois_xyxy.shape[0], features.shape[1], output_size, output_size))


def _max_in_bins(
    features: Tensor, rois_xyxy: Tensor, picture_index: Tensor, spatial_scale: float, output_size: int
) -> Tensor:
    """The maximum of each bin: over its rows first, then over its columns."""
    inside_y, inside_x = _bin_cells(features, rois_xyxy, spatial_scale, output_size)
    maps = features[picture_index]  # [K, C, H, W]
    lowest = torch.finfo(features.dtype).min
    rows = torch.stack(
        [maps.masked_fill(~inside_y[:, i][:, None, :, None], lowest).amax(dim=2) for i in range(output_size)],
        2,
    )  # [K, C, S, W]
    bins = torch.stack(
        [rows.masked_fill(~inside_x[:, j][:, None, None, :], lowest).amax(dim=3) for j in range(output_size)],
        3,
    )  # [K, C, S, S]
    return bins.masked_fill(bins == lowest, 0.0)


def _bin_cells(
    features: Tensor, rois_xyxy: Tensor, spatial_scale: float, output_size: int
) -> tuple[Tensor, Tensor]:
    """Which cells each bin covers, along y bool [K, S, H] and along x bool [K, S, W]."""
    height, width = features.shape[2:]
    # Half away from zero, as C's round() has it, not to the even neighbour.
    corners = rois_xyxy.to(features.dtype) * spatial_scale
    corners = corners.sign() * torch.floor(corners.abs() + 0.5)
    edges = torch.arange(output_size, device=corners.device, dtype=corners.dtype)

    def along(low: Tensor, high: Tensor, length: int) -> Tensor:
        bin_length = (high - low + 1).clamp(min=1.0)[:, None] / output_size
        start = (torch.floor(edges * bin_length) + low[:, None]).clamp(0, length)
        stop = (torch.ceil((edges + 1) * bin_length) + low[:, None]).clamp(0, length)
        cell = torch.arange(length, device=corners.device, dtype=corners.dtype)
        return (cell >= start[..., None]) & (cell < stop[..., None])

    return along(corners[:, 1], corners[:, 3], height), along(corners[:, 0], corners[:, 2], width)


def _roi_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, rois_xyxy, picture_index, *settings = inputs
    ctx.save_for_backward(features, rois_xyxy, picture_index)
    ctx.settings = settings


def _roi_pool_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    features, rois_xyxy, picture_index = ctx.saved_tensors
    grad_features = torch.zeros_like(features)
    again = features.detach().requires_grad_()
    for part in torch.arange(len(rois_xyxy)).split(_POOLED_AT_ONCE):
        with torch.enable_grad():
            pooled = _max_in_bins(again, rois_xyxy[part], picture_index[part], *ctx.settings)
            grad_features += torch.autograd.grad(pooled, again, grad[part])[0]
    return grad_features, None, None, None, None


roi_pool.register_autograd(_roi_pool_backward, setup_context=_roi_pool_setup)
for _device in ("cpu", "cuda"):
    roi_pool.register_autocast(_device, torch.float32)


@torch.library.custom_op("tombola::resize_u8", mutates_args=())
def resize_u8(image_u8: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resize of bytes, the meaning of onnxruntime's Resize(linear, half_pixel) on uint8 NHWC, bit
    for bit; see `bilinear`.

    image_u8: uint8 [H, W, 3]. Returns uint8 [height, width, 3].
    """
    return _of_numpy(bilinear(image_u8.numpy(force=True), height, width), image_u8)


@resize_u8.register_fake
def _(image_u8: Tensor, height: int, width: int) -> Tensor:
    return image_u8.new_empty((height, width, image_u8.shape[2]))


@torch.library.custom_op("tombola::halve_u8", mutates_args=())
def halve_u8(image_u8: Tensor, wanted_h: int, wanted_w: int, sides: str) -> tuple[Tensor, Tensor]:
    """Halve a picture while it is at least twice too large; see `Shrink`, whose arguments these are.

    image_u8: uint8 [H, W, 3]. Returns uint8 [H', W', 3] and float32 [], how many pixels of a side became one.
    """
    shrink = Shrink((wanted_h, wanted_w), "longer" if sides == "longer" else "both")
    count = shrink.halvings((image_u8.shape[0], image_u8.shape[1]))
    halved = halve(image_u8.numpy(force=True), count)
    return _of_numpy(halved, image_u8), torch.tensor(float(2**count), device=image_u8.device)


@halve_u8.register_fake
def _(image_u8: Tensor, wanted_h: int, wanted_w: int, sides: str) -> tuple[Tensor, Tensor]:
    height, width = (torch.library.get_ctx().new_dynamic_size(min=1) for _ in range(2))
    return image_u8.new_empty((height, width, 3)), image_u8.new_empty((), dtype=torch.float32)


@torch.library.custom_op("tombola::part_u8", mutates_args=())
def part_u8(image_u8: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A rectangle of a picture, uint8 [H, W, 3] -> [height, width, 3]: one slice of both axes."""
    return image_u8[top : top + height, left : left + width].clone()


@part_u8.register_fake
def _(image_u8: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return image_u8.new_empty((height, width, image_u8.shape[2]))


def _of_numpy(array: NDArray[np.uint8], like: Tensor) -> Tensor:
    """A copy on the device of `like`: an operator's result must not be its input."""
    return torch.tensor(array, device=like.device)
