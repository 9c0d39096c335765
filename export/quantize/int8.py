"""Static quantisation by onnxruntime's own tool: activations in 8 bits between fixed limits, weights in 8."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from tombola.errors import ExportError
from tombola.export.graph.walk import sort_nodes, walk
from tombola.export.quantize.layers import CUT, FOLLOWING, LAYERS, Plan
from tombola.export.quantize.processor import Processor
from tombola.runtime.tasks.difference import Arrays

_OPERATORS = sorted(LAYERS | FOLLOWING | {CUT})
_ERROR, _WARNING = 3, 2


def measure_ranges(model: onnx.ModelProto, feeds: Iterable[Arrays]) -> Any:
    """The least and the largest number of each activation over all feeds, as `to_int8` wants them.

    ExportError if one is no number: then the network is broken.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "float.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(
            path,
            _OPERATORS,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.MinMax,
            providers=["CPUExecutionProvider"],
        )
        calibrator.collect_data(_Reader(feeds))
        try:
            return calibrator.compute_data()
        except ValueError as error:  # of no feed at all
            raise ExportError(f"the calibration pictures gave no numbers: {error}") from error


def to_int8(model: onnx.ModelProto, plan: Plan, ranges: Any, processor: Processor) -> onnx.ModelProto:
    """A copy of a float32 model whose nodes of the plan compute in int8 on that kind of processor.

    ranges: of `measure_ranges`. Standard operators, names as before: the weight of a layer is int8 under its
    own name, with "/scale" and "/zero_point" beside it, its bias int32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with _quiet():
        quantizer = QDQQuantizer(
            copy,
            True,  # a scale for each channel of a weight
            processor.reduce_range,
            QuantType.QInt8,
            QuantType.QInt8 if processor.signed_activations else QuantType.QUInt8,
            ranges,
            sorted(plan.nodes),
            [],
            _OPERATORS,
            {"ActivationSymmetric": processor.signed_activations, "WeightSymmetric": True},
        )
        quantizer.quantize_model()
    done: onnx.ModelProto = quantizer.model.model
    done.producer_name, done.ir_version = model.producer_name, model.ir_version
    _name(done.graph)
    sort_nodes(done.graph)
    return done


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, feeds: Iterable[Arrays]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        feeds = next(self._feeds, None)
        return None if feeds is None else dict(feeds)


def _name(graph: onnx.GraphProto) -> None:
    """Give stored tensors the names of the weights that they hold, and new nodes one inside the network."""
    stored = {tensor.name for tensor in graph.initializer}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            name = node.input[0].removesuffix("_quantized")
            names[node.output[0]] = f"{name}/float32"
            names[node.input[0]] = name
            for given, part in zip(node.input[1:], ("scale", "zero_point"), strict=False):
                names[given] = f"{name}/{part}"
    for part in walk(graph):
        for node in part.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for tensor in part.initializer:
            tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        if "/" not in node.name:
            node.name = f"net/{node.name}"


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime warns of each optional input, its tool of a preparation that our graphs do not need."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    ort.set_default_logger_severity(_ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        ort.set_default_logger_severity(_WARNING)
