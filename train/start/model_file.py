"""Transfer from a model file of our own: its weights go back into a network that can learn."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm
from tombola.train.start.start import copy_weights

# What the file calls how its pictures are normalised.
_SEEN = {"mean": "picture_input.mean", "scale": "picture_input.scale"}


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a training may take from a model file.

    task, classes: its own. rights: whose the pictures were that it learned from, "" if it does not say.
    seen: mean and scale of the pictures that it learned from, a number a channel.
    tensors: float32, by the names of the network's layers, norms inside their kernels.
    """

    path: Path
    task: str
    classes: tuple[str, ...]
    rights: str
    seen: dict[str, tuple[float, ...]]
    tensors: dict[str, Tensor]


def read_model_file(path: Path) -> ModelFile:
    """What is in an .onnx file that `tombola export` wrote; TrainingError if it is another or damaged."""
    import onnx  # here, because few trainings need it
    from onnx import numpy_helper

    try:
        model = onnx.load(str(path), load_external_data=False)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        tensors = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
            for tensor in model.graph.initializer
            if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
        }
        tensors |= _biases(model.graph.node, tensors)
        card: dict[str, Any] = json.loads(metadata["tombola.card"])
        return ModelFile(
            path=path,
            task=metadata["tombola.task"],
            classes=tuple(
                json.loads(metadata.get("tombola.labels", metadata.get("tombola.vocabulary", "[]")))
            ),
            rights=str(card.get("data", "")),
            seen={key: tuple(tensors[name].flatten().tolist()) for key, name in _SEEN.items()},
            tensors=tensors,
        )
    except Exception as error:  # a damaged protobuf may raise anything
        raise TrainingError(
            f"start.weights: {path} is no model that `tombola export` wrote, or is damaged ({error}); give a "
            "file that it wrote, or a run folder"
        ) from None


def _biases(nodes: Iterable[Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The bias of each layer under its own name: equal ones are stored once, under the name of the first, and
    one of zeros may be left out."""
    biases = {}
    for node in nodes:
        # A weight that is stored as float16 is read behind a Cast, which has its name and "/float32".
        _, weight, *bias = (name.removesuffix("/float32") for name in (*node.input, "", "")[:4])
        if node.op_type in ("Conv", "Gemm") and weight in tensors and weight.endswith(".weight"):
            zeros = torch.zeros(len(tensors[weight]))
            biases[weight.removesuffix("weight") + "bias"] = tensors.get(bias[0], zeros)
    return biases


def load_model_file(
    network: nn.Module, file: ModelFile, *, fresh: tuple[str, ...] = (), norms_learn: bool
) -> None:
    """Copy the weights of the file into a network, but those whose names begin with one of `fresh`.

    A file has its batch norms inside the kernels. Here each kernel gets what it holds and its norm the bias,
    with statistics that change nothing; so none of them may learn statistics of its own (`norms_learn`).
    Raises TrainingError for a network of another shape, or one whose norms learn.
    """
    given = dict(file.tensors)
    for name, module in network.named_modules():
        if not isinstance(module, ConvBatchNorm | LinearBatchNorm):
            continue
        if norms_learn:
            raise TrainingError(
                f"start.weights: {file.path} has its batch norms inside the kernels, and those of this "
                "network learn; give the run folder that the file was exported from, or keep them fixed "
                "(network.batch_norm = 'frozen', where the task has it)"
            )
        weight, bias = given.pop(f"{name}.weight", None), given.pop(f"{name}.bias", None)
        if weight is None or bias is None:
            continue  # told by `copy_weights`
        kernel = "conv" if isinstance(module, ConvBatchNorm) else "linear"
        given |= {
            f"{name}.{kernel}.weight": weight,
            f"{name}.norm.weight": torch.ones_like(bias),
            f"{name}.norm.bias": bias,
            f"{name}.norm.running_mean": torch.zeros_like(bias),
            f"{name}.norm.running_var": torch.full_like(bias, 1 - module.norm.eps),
        }
    # Beside weights a file has constants, and what a network can compute by itself.
    parts = tuple(f"{name}." for name, _ in network.named_children())
    computed = {name for name, _ in network.named_buffers()} - network.state_dict().keys()
    weights = {
        name: tensor for name, tensor in given.items() if name.startswith(parts) and name not in computed
    }
    copy_weights(network, weights, file.path, fresh=fresh)
