"""A trained network becomes one contract file: picture in, answer out, checked before anything is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from torch import Tensor, nn

from tombola.errors import ExportError, ModelError
from tombola.export.card import make_card
from tombola.export.difference import Options, Yardstick
from tombola.export.fold import fold
from tombola.export.graph import to_graph
from tombola.export.half import round_weights, store_half
from tombola.export.naming import name_nodes
from tombola.export.parity import Parity, answer, check_parity
from tombola.export.probes import make_probe, probe_pictures
from tombola.export.size import PartSize, sizes
from tombola.export.walk import with_inner
from tombola.runtime.contract.contract import Contract
from tombola.train.run.folder import check_place, write_atomic

Photo = NDArray[np.uint8]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class ExportReport:
    """What was written. nbytes: the size of the file; parts: its weights by part of the network."""

    path: Path
    nbytes: int
    contract: Contract
    parity: Parity
    parts: tuple[PartSize, ...]


def export_network(
    network: Network,
    wrap: Callable[[Network], nn.Module],
    yardstick: Yardstick,
    output: Path,
    *,
    labels: Sequence[str],
    defaults: Options,
    input_size_hw: tuple[int, int],
    example: Sequence[Tensor],
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Photo] = (),
    parity_sizes_hw: Sequence[tuple[int, int]] = (),
    half: bool = True,
) -> ExportReport:
    """Write `network` to `output` as a contract file of the yardstick's task.

    wrap: makes the module that is exported, inputs and outputs as the task's signature has them, around a
    copy of the network. defaults: a value for each optional input. input_size_hw: what the card says of the
    network's picture. example: the inputs that the exporter traces with. facts: what the card says first
    (licence, data, protocol, metrics, lineage). photos: image_rgb_u8 [h, w, 3] on which parity is checked
    too, and which the file carries, made small, as probes; drawn pictures without them. parity_sizes_hw:
    sizes at which parity is checked beyond those of every file. half: store weights as float16; they are
    rounded before parity is checked, and computed with in float32.

    Raises ExportError if the network has numbers that are not finite, cannot be exported, or if the file
    would answer differently; OutputError if `output` cannot be written. Then nothing is left behind.
    """
    check_place(output, ".onnx")
    promised = _contract(yardstick.task, labels, defaults, facts or {})
    folded = fold(network)
    if half:
        round_weights(folded)
    module = wrap(folded).eval()
    model = to_graph(module, yardstick.task, example, defaults)
    name_nodes(model.graph)
    if half:
        store_half(model.graph)
    check(model)

    session = _session(model)
    parity = check_parity(module, session, yardstick, defaults, photos, parity_sizes_hw)
    parts = sizes(model.graph)
    contract = replace(
        promised,
        card=make_card(
            promised.card,
            parity=parity.summary(),
            sizes=parts,
            input_size_hw=input_size_hw,
            half=half,
        ),
        probes=tuple(
            make_probe(picture, answer(session, yardstick.task, picture, defaults))
            for picture in probe_pictures(photos)
        ),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    content = model.SerializeToString(deterministic=True)
    write_atomic(output, content)
    return ExportReport(output, len(content), contract, parity, parts)


def check_width(n_classes: int, labels: Sequence[str]) -> None:
    """ExportError unless there is one label for each class that the network tells apart."""
    if len(labels) != n_classes:
        raise ExportError(f"the network knows {n_classes} classes, but {len(labels)} labels were given.")


def _contract(task: str, labels: Sequence[str], defaults: Options, facts: Mapping[str, Any]) -> Contract:
    """What can be promised before the long work begins; ExportError for what no file may say."""
    try:
        contract = Contract(task, tuple(labels), dict(defaults), card=dict(facts))
        contract.to_metadata()
    except ModelError as error:
        raise ExportError(f"the file would not keep the contract: {error}") from error
    return contract


def check(model: onnx.ModelProto) -> None:
    """ExportError unless the model passes ONNX's own checker and holds standard operators only."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    foreign = {function.domain for function in model.functions}
    foreign |= {inner.domain for node in nodes for inner in with_inner(node)}
    if foreign - {""}:
        raise ExportError(
            f"the graph has operators of {sorted(foreign - {''})}; only standard ones are allowed."
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"ONNX's checker refuses the graph: {error}") from error


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every optional input
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
