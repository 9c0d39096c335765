"""What an `.onnx` file is made of, read from its bytes without the onnx package and without running it."""

from collections.abc import Iterator
from dataclasses import dataclass

from tombola.errors import ModelError
from tombola.runtime.contract.contract import Contract, check_graph
from tombola.runtime.modelfile.protobuf import Budget, fields, to_int, to_name, to_text, to_view
from tombola.runtime.modelfile.tensor import DTYPES, MAX_DIMS, Tensor, read_tensor
from tombola.runtime.tasks.signature import TensorSpec

STANDARD_DOMAINS = ("", "ai.onnx")
# The highest opset and version of the format (IR) that an onnxruntime reads; tried with the files that ship.
READERS = ((20, 9, "1.17"), (21, 10, "1.18"))
MAX_DEPTH = 32
MAX_NODES = MAX_TENSORS = 100_000

# Operators that onnxruntime crashes on where an input from this place on is empty; most take any number.
NEVER_EMPTY_FROM = {
    "Concat": 0, "Einsum": 0, "Max": 0, "Mean": 0, "Min": 0, "Scan": 0, "SequenceConstruct": 0, "Sum": 0,
    "Loop": 2, "DFT": 2, "LayerNormalization": 2,
}  # fmt: skip

# onnxruntime divides by these as they are, in 32 bits: it crashes on 0, and on what is 0 in them.
DIVISORS = frozenset({"blocksize", "group", "kv_num_heads", "q_num_heads"})
MAX_DIVISOR = 32_767


@dataclass(frozen=True)
class Node:
    """One operator of the graph.

    weights: the names of its inputs that the file stores, also of those it stores narrower, behind a Cast or
    a DequantizeLinear; this has none then. reads: its other inputs; writes: its outputs.
    """

    name: str
    op_type: str
    domain: str
    weights: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The parts of a model file. Nodes and tensors include those inside loops, branches and functions.

    inputs: graph inputs that must be fed; optional_inputs: those with a stored default; nodes in file order.
    scales: names of the tensors that say what stored integers stand for: they are no weights.
    """

    ir_version: int
    opset: int
    producer: str
    metadata: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    optional_inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    scales: frozenset[str] = frozenset()

    @property
    def op_counts(self) -> dict[str, int]:
        """Operator type -> how many nodes, most first."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def oldest_onnxruntime(self) -> str:
        """The oldest version that reads the file, "1.17"; empty for files that are newer than we know."""
        reads = (name for opset, ir, name in READERS if self.opset <= opset and self.ir_version <= ir)
        return next(reads, "")

    @property
    def weight_count(self) -> int:
        """How many numbers the initializers hold."""
        return sum(tensor.count for tensor in self._weights)

    @property
    def zero_count(self) -> int:
        """How many of them are exactly zero."""
        return sum(tensor.zeros for tensor in self._weights)

    @property
    def _weights(self) -> list[Tensor]:
        return [tensor for tensor in self.initializers if tensor.name not in self.scales]


def read_graph(model: bytes) -> Graph:
    """Read the bytes of an `.onnx` file; ModelError where they are empty, cut off or no ONNX model."""
    if not model:
        raise ModelError("the file is empty (0 bytes).")
    reader = _Reader()
    reader.read_model(memoryview(model))
    return reader.graph()


def check_contract(graph: Graph) -> Contract:
    """Return the contract of a graph that keeps it; ModelError says what the graph does that it may not.

    Refused: another or no contract, tensors that differ from the task's, data outside of the file, operators
    of a foreign domain, weights that are not numbers.
    """
    contract = Contract.from_metadata(graph.metadata)
    for node in graph.nodes:
        if node.domain not in STANDARD_DOMAINS:
            raise ModelError(
                f"it uses the operator {node.op_type} of the foreign domain {node.domain!r}; "
                "a Tombola model has standard ONNX operators only."
            )
    for tensor in (*graph.initializers, *graph.constants):
        if tensor.is_external:
            raise ModelError(
                f"the tensor {tensor.name!r} keeps its data in another file; "
                "a Tombola model is one file, so export it again without external data."
            )
        if tensor.has_nan:
            raise ModelError(
                f"the weight {tensor.name!r} holds NaN (not a number), so no answer could be right; "
                "export again from a checkpoint whose weights are finite."
            )
    check_graph(
        contract.task,
        graph.inputs,
        graph.optional_inputs,
        graph.outputs,
        contract.signature,
    )
    _check_classes(contract, graph.outputs)
    return contract


def _check_classes(contract: Contract, outputs: tuple[TensorSpec, ...]) -> None:
    """Refuse a fixed count of classes that is not the count of labels."""
    found = {spec.name: spec for spec in outputs}
    for wanted in contract.signature.outputs:
        spec = found[wanted.name]
        for want, have in zip(wanted.shape or (), spec.shape or (), strict=False):
            if want == "classes" and isinstance(have, int) and have != len(contract.labels):
                raise ModelError(f"it has {len(contract.labels)} labels but answers {spec}; export it again.")


class _Reader:
    """Walks a ModelProto and gathers its parts. Numbers are the field numbers of onnx.proto."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.ir_version = 0
        self.opset = 0
        self.producer = ""
        self.metadata: dict[str, str] = {}
        self.inputs: list[TensorSpec] = []
        self.outputs: list[TensorSpec] = []
        self.nodes: list[tuple[str, str, str, list[str], list[str]]] = []
        self.initializers: list[Tensor] = []
        self.constants: list[Tensor] = []
        self.has_graph = False

    def graph(self) -> Graph:
        if not self.has_graph:
            raise ModelError("the file holds no ONNX graph: it is cut off, or not an ONNX model.")
        stored = {tensor.name for tensor in self.initializers}
        sources: dict[str, tuple[str, ...]] = {name: (name,) for name in stored}
        scales = set[str]()
        for _, op_type, _, reads, writes in self.nodes:
            if op_type in ("QuantizeLinear", "DequantizeLinear"):
                scales.update(reads[1:])
            if op_type in ("Cast", "DequantizeLinear") and writes and stored.intersection(reads[:1]):
                sources[writes[0]] = tuple(item for item in reads if item in stored)
                reads.clear()
        return Graph(
            ir_version=self.ir_version,
            opset=self.opset,
            producer=self.producer,
            metadata=self.metadata,
            inputs=tuple(spec for spec in self.inputs if spec.name not in stored),
            optional_inputs=tuple(spec for spec in self.inputs if spec.name in stored),
            outputs=tuple(self.outputs),
            nodes=tuple(
                Node(
                    name,
                    op_type,
                    domain,
                    weights=tuple(one for item in reads for one in sources.get(item, ())),
                    reads=tuple(item for item in reads if item not in sources),
                    writes=tuple(writes),
                )
                for name, op_type, domain, reads, writes in self.nodes
            ),
            initializers=tuple(self.initializers),
            constants=tuple(self.constants),
            scales=frozenset(scales),
        )

    def read_model(self, message: memoryview) -> None:
        for number, value in fields(message, self.budget):
            if number == 1:
                self.ir_version = to_int(value)
            elif number == 2:
                self.producer = to_name(value)
            elif number == 7:
                self.has_graph = True
                self.read_graph(to_view(value), depth=0)
            elif number == 8:
                domain, version = _opset(to_view(value), self.budget)
                if domain in STANDARD_DOMAINS:
                    self.opset = version
            elif number == 14:
                key, text = _entry(to_view(value), self.budget)
                self.metadata[key] = text
            elif number == 25:
                self.read_function(to_view(value))

    def read_function(self, message: memoryview) -> None:
        for number, value in fields(message, self.budget):
            if number == 7:
                self.read_node(to_view(value), depth=1)
            elif number == 11:  # defaults of its attributes
                self.read_attribute(to_view(value), depth=1)

    def read_graph(self, message: memoryview, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ModelError(f"its graph is nested more than {MAX_DEPTH} deep.")
        for number, value in fields(message, self.budget):
            if number == 1:
                self.read_node(to_view(value), depth)
            elif number == 5:
                self.keep(self.initializers, read_tensor(to_view(value), self.budget))
            elif number == 15:
                self.keep(self.initializers, *_sparse_tensors(to_view(value), self.budget))
            elif number in (11, 12, 13):
                spec = _value_info(to_view(value), self.budget)
                if number != 13 and depth == 0:
                    (self.inputs if number == 11 else self.outputs).append(spec)

    def read_node(self, message: memoryview, depth: int) -> None:
        name, op_type, domain, reads, writes = "", "", "", list[str](), list[str]()
        place = len(self.nodes)
        for number, value in fields(message, self.budget):
            if number == 1:
                reads.append(to_name(value))
            elif number == 2:
                writes.append(to_name(value))
            elif number == 3:
                name = to_name(value)
            elif number == 4:
                op_type = to_name(value)
            elif number == 5:
                self.read_attribute(to_view(value), depth)
            elif number == 7:
                domain = to_name(value)
        if "" in reads[NEVER_EMPTY_FROM.get(op_type, len(reads)) :]:
            raise ModelError(f"the file is damaged: an input of its operator {op_type} is empty.")
        if len(self.nodes) >= MAX_NODES:
            raise ModelError(f"its graph has more than {MAX_NODES:,} nodes.")
        self.nodes.insert(place, (name, op_type, domain, reads, writes))

    def read_attribute(self, message: memoryview, depth: int) -> None:
        name, whole = "", 0
        for number, value in fields(message, self.budget):
            if number == 1:
                name = to_name(value)
            elif number == 3:
                whole = to_int(value)
            elif number in (5, 10):
                self.keep(self.constants, read_tensor(to_view(value), self.budget))
            elif number in (6, 11):
                self.read_graph(to_view(value), depth + 1)
            elif number in (22, 23):
                self.keep(self.constants, *_sparse_tensors(to_view(value), self.budget))
        if name in DIVISORS and not 1 <= whole <= MAX_DIVISOR:
            raise ModelError(
                f"the file is damaged: the {name} of an operator is {whole}, not 1 to {MAX_DIVISOR:,}."
            )

    def keep(self, kept: list[Tensor], *tensors: Tensor) -> None:
        if len(self.initializers) + len(self.constants) + len(tensors) > MAX_TENSORS:
            raise ModelError(f"it stores more than {MAX_TENSORS:,} tensors.")
        kept.extend(tensors)


def _sparse_tensors(message: memoryview, budget: Budget) -> Iterator[Tensor]:
    for number, value in fields(message, budget):
        if number in (1, 2):
            yield read_tensor(to_view(value), budget)


def _opset(message: memoryview, budget: Budget) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in fields(message, budget):
        if number == 1:
            domain = to_name(value)
        elif number == 2:
            version = to_int(value)
    return domain, version


def _entry(message: memoryview, budget: Budget) -> tuple[str, str]:
    key = text = ""
    for number, value in fields(message, budget):
        if number == 1:
            key = to_text(value)
        elif number == 2:
            text = to_text(value)
    return key, text


def _value_info(message: memoryview, budget: Budget) -> TensorSpec:
    name, dtype = "", "undefined"
    shape: tuple[int | str, ...] | None = None
    for number, value in fields(message, budget):
        if number == 1:
            name = to_name(value)
        elif number == 2:
            for kind, tensor_type in fields(to_view(value), budget):
                if kind != 1:  # a sequence, map or optional: no tensor
                    continue
                for part, content in fields(to_view(tensor_type), budget):
                    if part == 1:
                        dtype = DTYPES.get(to_int(content), f"type {to_int(content)}")
                    elif part == 2:
                        shape = tuple(
                            _dimension(to_view(dim), budget)
                            for inner, dim in fields(to_view(content), budget)
                            if inner == 1
                        )
    if shape is not None and len(shape) > MAX_DIMS:
        raise ModelError(f"the tensor {name!r} has {len(shape)} dimensions, more than {MAX_DIMS}.")
    return TensorSpec(name, dtype, shape)


def _dimension(message: memoryview, budget: Budget) -> int | str:
    for number, value in fields(message, budget):
        if number == 1:
            return to_int(value)
        if number == 2:
            return to_name(value)
    return "?"
