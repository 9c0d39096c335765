"""What the network of a run costs, and what it would cost narrower: measured on this machine, or counted."""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from tombola.export.exportable import Exportable
from tombola.export.latency import LatencyTable
from tombola.export.run import export_run
from tombola.export.tasks.table import EXPORTS
from tombola.runtime.load import load
from tombola.runtime.session.profile import layer_times_ms
from tombola.runtime.tasks.table import SHEET
from tombola.train.networks.generate.generators import Generator
from tombola.train.prune.cost import Cost, Layer, Widths, layers_of, macs_cost
from tombola.train.prune.dead import answer_all
from tombola.train.tasks.table import load_network

Quantity = Literal["latency", "size", "macs"]

FRAME_HW = (1080, 1920)  # as `tombola bench` has it
_BYTES = 2  # of a weight in the file


def cost_of_run(run: Path, quantity: Quantity) -> Cost:
    """Of the answer of its last weights to a frame of 1080p, or of a generator's sheet of pictures:
    milliseconds, measured on this machine; MB of the file; millions of multiply-accumulates. The run is
    exported where its layers are not all there is."""
    network, recipe = load_network(run, "last")
    if isinstance(network, Generator):
        layers = _layers_of_generator(network, with_encoder=quantity == "size")
    else:
        layers = _layers_at_frame(network, EXPORTS[recipe.task].exportable(network, recipe))
    if quantity == "macs":
        return macs_cost(layers)
    with tempfile.TemporaryDirectory() as folder:
        file = export_run(run, Path(folder) / "dense.onnx", weights="last").path
        if quantity == "size":
            return _with_rest("MB", layers, _megabytes, file.stat().st_size / 1e6)
        model = load(file, "cpu")
        feeds = model.prepared(model.contract.example_feeds(FRAME_HW))
        times_ms = layer_times_ms(file.read_bytes(), feeds, "cpu")
        # Not by the clock, which other load on the machine makes slow and the medians of nodes hardly.
        whole = sum(times_ms.values())
        return _with_rest("ms", layers, partial(_latency_ms, LatencyTable(), times_ms), whole)


def _layers_at_frame(network: nn.Module, exportable: Exportable) -> tuple[Layer, ...]:
    frame = torch.randint(
        0, 256, (*FRAME_HW, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    module = exportable.wrap(network).eval()
    inputs = [frame if one.dtype == torch.uint8 and one.ndim == 3 else one for one in exportable.example]
    return layers_of(network, lambda: module(*inputs))


def _layers_of_generator(network: Generator, *, with_encoder: bool) -> tuple[Layer, ...]:
    """Not through the file's branches, which nothing can look into; the encoder lies in the file, but does
    not run where pictures are made."""
    if with_encoder:
        return layers_of(network, lambda: answer_all(network, torch.zeros((1, *network.shape))))
    labels = torch.zeros(SHEET, dtype=torch.int64) if network.n_labels else None
    return layers_of(network, lambda: network.decode(torch.zeros(SHEET, network.latent_size), labels))


def _with_rest(
    unit: str, layers: tuple[Layer, ...], of: Callable[[Layer, Widths], float], whole: float
) -> Cost:
    """What of the whole is not the layers' stays whatever the widths."""
    return Cost(unit, max(0.0, whole - sum(of(layer, {}) for layer in layers)), layers, of)


def _latency_ms(table: LatencyTable, times_ms: Mapping[str, float], layer: Layer, widths: Widths) -> float:
    """What the layer takes within the network, as much less as it takes less alone."""
    alone = table.latency_ms(layer, widths)
    # A norm's layer has the norm's name in the file.
    within = times_ms.get(layer.name, times_ms.get(layer.name.rpartition(".")[0]))
    return alone if within is None else within * alone / table.latency_ms(layer, {})


def _megabytes(layer: Layer, widths: Widths) -> float:
    return _BYTES * layer.weights(widths) / 1e6
