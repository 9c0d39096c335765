"""How many multiplications with a weight an answer takes, counted on a run and not on paper."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tombola.runtime.session.profile import OUTSIDE_SCOPES, run_events
from tombola.runtime.tasks.difference import Arrays

Shapes = Sequence[Sequence[int]]
# Where a convolution has its kernel among its inputs.
KERNELS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
PRODUCTS = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"})
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


def count_macs(model: bytes, feeds: Arrays, threads: int | None = None) -> int:
    """Multiply-accumulates of the network for one answer to `feeds`, of a checked model.

    Counted node by node on the CPU, as often as each runs: steps of loops, and boxes of a second stage. What
    makes the picture ready (nodes named pre/...) and chooses among the answers (post/...) does not count, nor
    do sums and activations.
    """
    total = 0
    for event in run_events(model, feeds, "cpu", threads, runs=1, optimised=False):
        arguments = event["args"]
        if not str(event["name"]).startswith(OUTSIDE_SCOPES):
            total += macs_of(arguments["op_name"], *map(_shapes, (_inputs(arguments), _outputs(arguments))))
    return total


def macs_of(op_type: str, inputs: Shapes, outputs: Shapes) -> int:
    """Multiply-accumulates of one node, by the shapes of its inputs and outputs; 0 for one without weights.

    A convolution: each number of its output is the sum of in / groups * k * k products.
    """
    if op_type in KERNELS:
        return math.prod(outputs[0]) * math.prod(inputs[KERNELS[op_type]][1:])
    if op_type == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])
    if op_type == "Gemm":  # [m, k] or, transposed, [k, m] -> [m, n]
        return math.prod(inputs[0]) * outputs[0][1]
    if op_type in PRODUCTS:
        return math.prod(outputs[0]) * inputs[0][-1]
    if op_type in RECURRENT:  # [steps, batch, in], [directions, gates * units, in], and the same of units
        return math.prod(inputs[0][:2]) * (math.prod(inputs[1]) + math.prod(inputs[2]))
    return 0


def _inputs(arguments: Mapping[str, Any]) -> Any:
    return arguments.get("input_type_shape", ())


def _outputs(arguments: Mapping[str, Any]) -> Any:
    return arguments.get("output_type_shape", ())


def _shapes(told: Sequence[Mapping[str, list[int]]]) -> list[list[int]]:
    return [next(iter(one.values()), []) for one in told]
