"""From a module to an ONNX graph that is ours alone: standard operators, optional inputs, names that mean
something."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from tombola.errors import ExportError
from tombola.export.graph.translations import IR_VERSION, OPSET, TRANSLATIONS
from tombola.export.graph.walk import walk
from tombola.runtime.tasks.signature import Signature, TensorSpec
from tombola.runtime.tasks.table import TASKS


def to_graph(
    module: nn.Module,
    task: str,
    example: Sequence[Tensor],
    defaults: Mapping[str, float | int],
    signature: Signature | None = None,
) -> onnx.ModelProto:
    """Export `module` with the inputs and outputs of `task`, the picture's height and width dynamic.

    example: one tensor an input, in the order of the task's signature. defaults: what an optional input is
    when it is not fed. signature: that of the file, the task's own without.
    Raises ExportError when PyTorch cannot export the module.
    """
    signature = signature or TASKS[task].signature
    inputs = (*signature.inputs, *signature.optional_inputs)
    dynamic = tuple(
        {
            axis: torch.export.Dim.DYNAMIC
            for axis, side in enumerate(spec.shape or ())
            if isinstance(side, str)
        }
        for spec in inputs
    )
    with quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                tuple(example),
                dynamo=True,
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                dynamic_shapes=dynamic,
                input_names=[spec.name for spec in inputs],
                output_names=[spec.name for spec in signature.outputs],
                verbose=False,
            )
        except Exception as error:  # whatever stopped the exporter, the user is told by one class
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ExportError(
                f"PyTorch {torch.__version__} cannot export this network: {reason[0]}"
            ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _forget_origin(model)
    model.ir_version = IR_VERSION
    _state_signature(model.graph, inputs, signature.outputs)
    _store_defaults(model.graph, signature.optional_inputs, defaults)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter prints progress, logs that torchvision is absent and warns of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: stack traces with this machine's paths, shapes in symbols nobody knows."""
    _forget_notes(model)
    for graph in walk(model.graph):
        for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
            _forget_notes(part)
        del graph.value_info[:]
    model.producer_name = "tombola"
    model.producer_version = ""
    model.graph.name = "tombola"


def _forget_notes(
    part: onnx.ModelProto | onnx.GraphProto | onnx.NodeProto | onnx.ValueInfoProto | onnx.TensorProto,
) -> None:
    del part.metadata_props[:]
    part.doc_string = ""


def _state_signature(
    graph: onnx.GraphProto, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> None:
    for values, specs in ((graph.input, inputs), (graph.output, outputs)):
        if [value.name for value in values] != [spec.name for spec in specs]:
            names = [value.name for value in values]
            raise ExportError(f"the exporter made the tensors {names}, the contract asks for {specs}.")
        for value, spec in zip(values, specs, strict=True):
            dtype = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
            # The contract's name of a side, unless this network knows its length: classes are a number.
            made = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            shape = [
                side if isinstance(side, int) else n or side
                for n, side in zip(made, spec.shape or (), strict=True)
            ]
            value.CopyFrom(helper.make_tensor_value_info(spec.name, dtype, shape))


def _store_defaults(
    graph: onnx.GraphProto, specs: Sequence[TensorSpec], defaults: Mapping[str, float | int]
) -> None:
    """An initializer of the same name makes an input optional: what is not fed equals it."""
    for spec in specs:
        value = np.array(defaults[spec.name], dtype=spec.dtype)
        graph.initializer.append(numpy_helper.from_array(value, spec.name))
