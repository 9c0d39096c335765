"""How long each layer of a network takes on this machine, at this width and at narrower ones."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tombola.export.graph.translations import IR_VERSION, OPSET
from tombola.runtime.session.profile import run_events
from tombola.train.prune.cost import Layer, Widths

SHARES = (0.25, 0.5, 0.75, 1.0)  # of a layer's channels: at these it is measured, between them drawn straight
RUNS, WARM_UP_RUNS = 12, 3
BLOCK = 8  # onnxruntime pads channels to it


class LatencyTable:
    """Milliseconds of a layer by channels read and written, as plain onnxruntime takes them on the CPU.

    Each layer is measured alone, on noise, and what it takes to bring maps into onnxruntime's own order and
    back is left out, for within a network they stay in it.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._tables: dict[tuple[object, ...], _Table] = {}

    def latency_ms(self, layer: Layer, widths: Widths) -> float:
        """Of all calls of the layer; it is measured when it is first asked for."""
        read, written = layer.channels({})
        key = (
            layer.depthwise,
            layer.transposed,
            layer.kernel_hw,
            layer.stride_hw,
            layer.pads,
            layer.inputs,
            read,
            written,
        )
        if key not in self._tables:
            self._tables[key] = _measure(layer, read, written, self._threads)
        return self._tables[key].at(*layer.channels(widths))


class _Table:
    """times_ms [reads, writes] at the channels of two ascending lists."""

    def __init__(self, reads: list[int], writes: list[int], times_ms: NDArray[np.float64]) -> None:
        self.reads, self.writes, self.times_ms = reads, writes, times_ms
        self.at = cache(self._at)

    def _at(self, read: int, written: int) -> float:
        by_reads = [float(np.interp(written, self.writes, row)) for row in self.times_ms]
        return float(np.interp(read, self.reads, by_reads))


def _measure(layer: Layer, read: int, written: int, threads: int | None) -> _Table:
    reads, writes = _grid(read), _grid(written)
    pairs = [(one, one) for one in writes] if layer.depthwise else [(r, w) for r in reads for w in writes]
    model, feeds = _model(layer, pairs)
    times_us: defaultdict[str, list[float]] = defaultdict(list)
    for event in run_events(model, feeds, "cpu", threads, runs=WARM_UP_RUNS + RUNS):
        times_us[event["name"].removesuffix("_nchwc")].append(float(event["dur"]))  # in its own order of maps
    # The least, for whatever else runs on the machine can only add to it.
    times = {name: min(spent[-RUNS:]) / 1e3 for name, spent in times_us.items()}
    of = {pair: sum(times[_node(pair, call)] for call in range(len(layer.inputs))) for pair in pairs}
    if layer.depthwise:
        return _Table([read], writes, np.array([[of[one, one] for one in writes]]))
    return _Table(reads, writes, np.array([[of[r, w] for w in writes] for r in reads]))


def _grid(channels: int) -> list[int]:
    """Ascending numbers of channels up to all."""
    some = {max(BLOCK, round(share * channels / BLOCK) * BLOCK) for share in SHARES}
    return sorted({one for one in some if one < channels} | {channels})


def _node(pair: tuple[int, int], call: int) -> str:
    return f"layer_{pair[0]}_{pair[1]}_{call}"


def _model(layer: Layer, pairs: Sequence[tuple[int, int]]) -> tuple[bytes, Mapping[str, NDArray[np.float32]]]:
    """A graph that computes the layer with each pair of channels, side by side; its inputs."""
    rng = np.random.default_rng(0)
    nodes, weights, outputs = [], [], []
    feeds: dict[str, NDArray[np.float32]] = {}
    is_matrix = len(layer.inputs) == 1 and layer.inputs[0][1:] == (1, 1) and layer.kernel_hw == (1, 1)
    for read, written in pairs:
        sides = (read, written) if layer.transposed else (written, 1 if layer.depthwise else read)
        shape = (*sides, *layer.kernel_hw)
        weight = rng.standard_normal(shape[:2] if is_matrix else shape, np.float32)
        weights += [
            numpy_helper.from_array(weight, f"weight_{read}_{written}"),
            numpy_helper.from_array(np.zeros(written, np.float32), f"bias_{read}_{written}"),
        ]
        for call, (rows, height, width) in enumerate(layer.inputs):
            given, name = f"x_{read}_{call}", _node((read, written), call)
            if given not in feeds:
                size = (rows, read) if is_matrix else (rows, read, height, width)
                feeds[given] = rng.standard_normal(size, np.float32)
            names = [given, f"weight_{read}_{written}", f"bias_{read}_{written}"]
            if is_matrix:
                nodes.append(helper.make_node("Gemm", names, [name], name=name, transB=1))
            else:
                settings: dict[str, Any] = {
                    "kernel_shape": layer.kernel_hw,
                    "strides": layer.stride_hw,
                    "pads": layer.pads,
                    "group": written if layer.depthwise else 1,
                }
                kind = "ConvTranspose" if layer.transposed else "Conv"
                nodes.append(helper.make_node(kind, names, [name], name=name, **settings))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, one.shape) for name, one in feeds.items()
    ]
    graph = helper.make_graph(nodes, "layer", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString(), feeds
