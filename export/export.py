"""A trained network becomes one contract file: picture in, answer out, checked before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from tombola.errors import ExportError, ModelError
from tombola.export.card import make_card
from tombola.export.exportable import Exportable
from tombola.export.graph.fold import fold
from tombola.export.graph.graph import to_graph
from tombola.export.graph.half import round_weights, store_half
from tombola.export.graph.naming import name_nodes
from tombola.export.graph.size import PartSize, sizes
from tombola.export.graph.walk import with_inner
from tombola.export.parity.parity import Parity, check_parity, rounding
from tombola.export.parity.probes import make_probes, open_session
from tombola.export.parity.question import Photo
from tombola.export.writing import check_model_place, write_model
from tombola.runtime.contract.contract import Contract


@dataclass(frozen=True)
class ExportReport:
    """What was written. nbytes: the size of the file; parts: its weights by part of the network.

    parity: the file against the network with rounded weights; rounding: this against the network as trained,
    None where nothing was rounded.
    """

    path: Path
    nbytes: int
    contract: Contract
    parity: Parity
    rounding: Parity | None
    parts: tuple[PartSize, ...]


def export_network(
    exportable: Exportable,
    output: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    photos: Sequence[Photo] = (),
    half: bool = True,
) -> ExportReport:
    """Write a network to `output` as a contract file of its task; packed where its name ends in .onnx.gz.

    facts: what the card says first (licence, data, protocol, metrics, lineage). photos: image_rgb_u8
    [h, w, 3] on which parity is checked too, and which the file carries, made small, as probes; drawn
    pictures without them. half: store weights as float16; they are rounded before parity is checked, and
    computed with in float32.

    Raises ExportError if the network has numbers that are not finite, cannot be exported, gives no answer
    that a probe could hold, or if the file would answer differently; OutputError if `output` cannot be
    written. Then nothing is left behind.
    """
    check_model_place(output)
    task, asking, defaults = exportable.task, exportable.asking, exportable.defaults or {}
    promised = _contract(exportable, facts or {})
    trained = fold(exportable.network)
    rounded = fold(exportable.network)
    if half:
        round_weights(rounded)
    module = exportable.wrap(rounded).eval()
    model = to_graph(module, task, exportable.example, defaults, promised.signature)
    name_nodes(model.graph)
    if half:
        store_half(model.graph)
    check(model)

    questions = asking.questions(photos, exportable.parity_sizes_hw)
    parity = check_parity(module, open_session(model), task, asking, defaults, questions)
    lost = None
    if half:
        more = exportable.more_outputs
        lost = rounding(module, exportable.wrap(trained).eval(), task, asking, defaults, questions, more)
    parts = sizes(model.graph)
    contract = replace(
        promised,
        card=make_card(
            promised.card,
            parity=parity.summary(),
            rounding=None if lost is None else lost.summary(),
            sizes=parts,
            input_size_hw=exportable.input_size_hw,
            input_sides=exportable.input_sides,
            input_fit=exportable.input_fit,
            input_frames=exportable.input_frames,
        ),
        probes=make_probes(model, task, asking, photos),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    nbytes = write_model(output, model.SerializeToString(deterministic=True))
    return ExportReport(output, nbytes, contract, parity, lost, parts)


def _contract(exportable: Exportable, facts: Mapping[str, Any]) -> Contract:
    """What can be promised before the long work begins; ExportError for what no file may say."""
    try:
        contract = Contract(
            exportable.task,
            tuple(exportable.labels),
            dict(exportable.defaults or {}),
            card=dict(facts),
            vocabulary=tuple(exportable.vocabulary),
            more_inputs=tuple(exportable.more_inputs),
            more_outputs=tuple(exportable.more_outputs),
            sides=dict(exportable.sides),
        )
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
