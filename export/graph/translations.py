"""What each of our operators (`tombola.train.networks.layers.operators`) becomes in ONNX: opset 20 alone.

Opset 20 because onnxruntime has no kernel for the RoiAlign of 22 and later.
Shapes, dtypes and meanings are those of the operator of the same name; its plain numbers become attributes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto
from onnxscript import evaluator, ir, opset20

import tombola.export.tasks.detect.wrap
import tombola.train.networks.layers.operators  # noqa: F401  (they register torch.ops.tombola)
from tombola.export.graph.halving import halving_loop

OPSET = 20
# That of the opset. PyTorch writes 10, whose additions are dropped: onnxruntime 1.17 refuses it.
IR_VERSION = 9
MOST_HALVINGS = 24

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


def halve_u8(image_u8: Value, wanted_h: int, wanted_w: int, sides: str) -> tuple[Value, Value]:
    """A Loop that runs as often as `Shrink.halvings` says; what is small enough is not touched."""
    factors = 2 ** np.arange(MOST_HALVINGS + 1)
    size_hw = op.Shape(image_u8, start=0, end=2)
    if sides == "longer":
        size = op.Concat(op.ReduceMax(size_hw, keepdims=1), op.ReduceMin(size_hw, keepdims=1), axis=0)
        wanted = max(wanted_h, wanted_w), 1
    else:
        size, wanted = size_hw, (wanted_h, wanted_w)
    least = np.outer(wanted, factors[1:])  # [2, MOST_HALVINGS]
    enough = op.GreaterOrEqual(op.Unsqueeze(size, op.Constant(value_ints=[1])), _constant(least))
    both = op.ReduceMin(op.Cast(enough, to=TensorProto.INT64), op.Constant(value_ints=[0]), keepdims=0)
    count = op.ReduceSum(both, keepdims=0)
    return _loop(count, image_u8, halving_loop()), op.Gather(_constant(factors.astype(np.float32)), count)


def part_u8(image_u8: Value, top: Value, left: Value, height: Value, width: Value) -> Value:
    one = op.Constant(value_ints=[1])
    starts = op.Concat(op.Reshape(top, one), op.Reshape(left, one), axis=0)
    sizes = op.Concat(op.Reshape(height, one), op.Reshape(width, one), axis=0)
    return op.Slice(image_u8, starts, op.Add(starts, sizes), op.Constant(value_ints=[0, 1]))


def _loop(count: Value, carried: Value, body: GraphProto) -> Value:
    """A Loop that carries one value; onnxscript 0.7 would feed it every input twice."""
    node = ir.Node(
        "",
        "Loop",
        [count, None, carried],
        [ir.AttrGraph("body", ir.serde.deserialize_graph(body))],
    )
    evaluator.default().nodes.append(node)  # type: ignore[attr-defined]
    return node.outputs[0]


def _constant(array: NDArray[Any]) -> Value:
    return op.Constant(value=ir.tensor(array))


def any_size(pixels: Value, divisor: int) -> Value:  # noqa: ARG001
    return op.Identity(pixels)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.tombola.batched_nms.default: batched_nms,
    torch.ops.tombola.roi_align.default: roi_align,
    torch.ops.tombola.roi_pool.default: roi_pool,
    torch.ops.tombola.resize_u8.default: resize_u8,
    torch.ops.tombola.halve_u8.default: halve_u8,
    torch.ops.tombola.part_u8.default: part_u8,
    torch.ops.tombola.any_size.default: any_size,
}
