"""What each of our operators (`tombola.train.networks.layers.operators`) becomes in ONNX: opset 20 alone.

Opset 20 because onnxruntime has no kernel for the RoiAlign of 22 and later.
Shapes, dtypes and meanings are those of the operator of the same name; its plain numbers become attributes.
"""

from collections.abc import Callable
from typing import Any

import torch
from onnx import TensorProto
from onnxscript import opset20

import tombola.export.tasks.detect.wrap
import tombola.train.networks.layers.operators  # noqa: F401  (they register torch.ops.tombola)

OPSET = 20

# onnxscript's own types do not follow what a graph value may be; a value of the graph is anything here.
Value = Any
op: Any = opset20


def batched_nms(
    boxes_xyxy: Value,
    scores: Value,
    iou_threshold: Value,
    score_threshold: Value,
    max_per_class: int,
) -> Value:
    """Classes lie in the batch dimension of NonMaxSuppression, so no box needs an offset."""
    one = op.Constant(value_ints=[1])
    kept = op.NonMaxSuppression(
        boxes_xyxy,
        op.Unsqueeze(scores, one),
        op.Constant(value_ints=[max_per_class]),
        op.Reshape(iou_threshold, one),
        op.Reshape(score_threshold, one),
    )  # [M, 3] = class, 0, box
    return op.Gather(kept, op.Constant(value_ints=[0, 2]), axis=1)


def roi_align(
    features: Value,
    rois_xyxy: Value,
    picture_index: Value,
    spatial_scale: float,
    output_size: int,
    sampling_ratio: int,
) -> Value:
    return op.RoiAlign(
        features,
        rois_xyxy,
        picture_index,
        mode="avg",
        coordinate_transformation_mode="half_pixel",
        output_height=output_size,
        output_width=output_size,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


def roi_pool(
    features: Value, rois_xyxy: Value, picture_index: Value, spatial_scale: float, output_size: int
) -> Value:
    picture = op.Unsqueeze(op.Cast(picture_index, to=TensorProto.FLOAT), op.Constant(value_ints=[1]))
    return op.MaxRoiPool(
        features,
        op.Concat(picture, rois_xyxy, axis=1),
        pooled_shape=[output_size, output_size],
        spatial_scale=spatial_scale,
    )


def resize_u8(image_u8: Value, height: Value, width: Value) -> Value:
    """Four dimensions, channels last, still bytes: the one layout for which onnxruntime's Resize is fast."""
    zero, one, three = (op.Constant(value_ints=[number]) for number in (0, 1, 3))
    sizes = op.Concat(one, op.Reshape(height, one), op.Reshape(width, one), three, axis=0)
    resized = op.Resize(op.Unsqueeze(image_u8, zero), None, None, sizes, mode="linear")
    return op.Squeeze(resized, zero)


def any_size(pixels: Value, divisor: int) -> Value:  # noqa: ARG001
    return op.Identity(pixels)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.tombola.batched_nms.default: batched_nms,
    torch.ops.tombola.roi_align.default: roi_align,
    torch.ops.tombola.roi_pool.default: roi_pool,
    torch.ops.tombola.resize_u8.default: resize_u8,
    torch.ops.tombola.any_size.default: any_size,
}
