"""A trained detector becomes one contract file: picture in, boxes out, checked before anything is written."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from tombola.errors import ExportError, ModelError, OutputError
from tombola.export.card import make_card
from tombola.export.fold import fold
from tombola.export.graph import to_graph
from tombola.export.half import round_weights, store_half
from tombola.export.naming import name_nodes
from tombola.export.parity import Comparison, answer, check_parity, summary
from tombola.export.probes import make_probe, probe_pictures
from tombola.export.size import PartSize, sizes
from tombola.export.wrap import DetectPicture
from tombola.runtime.contract import Contract
from tombola.train.networks.faster_rcnn import FasterRCNN
from tombola.train.networks.picture_input import PictureInput
from tombola.train.run_folder import write_atomic

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class ExportReport:
    """What was written. nbytes: the size of the file; parts: its weights by part of the network."""

    path: Path
    nbytes: int
    contract: Contract
    comparisons: tuple[Comparison, ...]
    parts: tuple[PartSize, ...]


def export_detector(
    network: FasterRCNN,
    picture_input: PictureInput,
    output: Path,
    *,
    labels: Sequence[str],
    defaults: Mapping[str, float | int],
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Photo] = (),
    half: bool = True,
) -> ExportReport:
    """Write `network` to `output` as a contract file of the task detect.

    picture_input: what the network was trained to see. defaults: score_threshold, iou_threshold,
    max_detections. facts: what the card says first (licence, data, protocol, metrics, lineage). photos:
    image_rgb_u8 [h, w, 3] on which parity is checked too, and which the file carries, made small, as probes;
    drawn pictures without them. half: store weights as float16; they are rounded before parity is checked,
    and computed with in float32.

    Raises ExportError if the network has numbers that are not finite, cannot be exported, or if the file
    would answer differently; OutputError if `output` cannot be written. Then nothing is left behind.
    """
    check_place(output)
    if len(labels) != network.n_classes:
        raise ExportError(
            f"the network knows {network.n_classes} classes, but {len(labels)} labels were given."
        )
    promised = _contract(labels, defaults, facts or {})
    folded = fold(network)
    if half:
        round_weights(folded)
    module = DetectPicture(folded, picture_input).eval()
    model = to_graph(module, "detect", _example(defaults), defaults)
    name_nodes(model.graph)
    if half:
        store_half(model.graph)
    check(model)

    session = _session(model)
    comparisons, undecided = check_parity(module, session, defaults, photos)
    parts = sizes(model.graph)
    contract = replace(
        promised,
        card=make_card(
            promised.card,
            parity=summary(comparisons, undecided),
            sizes=parts,
            input_size=picture_input.size,
            half=half,
        ),
        probes=tuple(
            make_probe(picture, answer(session, picture, defaults)) for picture in probe_pictures(photos)
        ),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    content = model.SerializeToString(deterministic=True)
    write_atomic(output, content)
    return ExportReport(output, len(content), contract, comparisons, parts)


def check_place(output: Path) -> None:
    """OutputError, before the long work begins, if `output` cannot be a file."""
    if output.is_dir():
        raise OutputError(
            f"{output} is a folder; give the name of a file in it, like {output / 'model.onnx'}"
        )
    if output.suffix != ".onnx":
        raise OutputError(
            f"{output} does not end in .onnx, so no tool would take it for a model; add the suffix"
        )
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise OutputError(f"{output} cannot be written: {folder} is not a folder you may write to")


def _contract(
    labels: Sequence[str], defaults: Mapping[str, float | int], facts: Mapping[str, Any]
) -> Contract:
    """What can be promised before the long work begins; ExportError for what no file may say."""
    try:
        contract = Contract("detect", tuple(labels), dict(defaults), card=dict(facts))
        contract.to_metadata()
    except ModelError as error:
        raise ExportError(f"the file would not keep the contract: {error}") from error
    return contract


def check(model: onnx.ModelProto) -> None:
    """ExportError unless the model passes ONNX's own checker and holds standard operators only."""
    foreign = {node.domain for node in model.graph.node} | {function.domain for function in model.functions}
    if foreign - {""}:
        raise ExportError(
            f"the graph has operators of {sorted(foreign - {''})}; only standard ones are allowed."
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"ONNX's checker refuses the graph: {error}") from error


def _example(defaults: Mapping[str, float | int]) -> tuple[torch.Tensor, ...]:
    """What the exporter traces with: an odd, upright picture, and the defaults."""
    image = torch.zeros((322, 241, 3), dtype=torch.uint8)
    return (
        image,
        torch.tensor(defaults["score_threshold"], dtype=torch.float32),
        torch.tensor(defaults["iou_threshold"], dtype=torch.float32),
        torch.tensor(defaults["max_detections"], dtype=torch.int64),
    )


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns of every optional input
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
