"""`tombola inspect`: what is in a model file, read from its bytes without running it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tombola.cli.options import JsonOption
from tombola.cli.sizes import size_text
from tombola.cli.table import GAP, one_line, table, terminal_columns, width, wrap

if TYPE_CHECKING:
    from tombola.runtime.contract.contract import Contract
    from tombola.runtime.modelfile.graph import Graph
    from tombola.runtime.modelfile.layers import Layer
    from tombola.runtime.tasks.signature import TensorSpec

NAMES_SHOWN = 100
LAYERS_SHOWN = 15


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .onnx model.", show_default=False)],
    every: Annotated[
        bool, typer.Option("--all", help="List every layer and every fact of the card.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what is in a model file: task, labels, inputs, size.

    The card holds what its maker wrote down: licence, data, metrics, parity with PyTorch, lineage.
    The file is read, not run.

    \b
    Example:
      tombola inspect detector.onnx
      tombola inspect detector.onnx --json
    """
    from tombola.runtime.load import inspect_model
    from tombola.runtime.modelfile.layers import layers

    contract, graph = inspect_model(file)
    found = layers(graph)
    if json:
        from json import dumps

        typer.echo(dumps(_as_json(file, contract, graph, found)))
        return
    columns = terminal_columns()
    facts = _flat(contract.card)
    told = facts if every else [fact for fact in facts if not _is_noise(fact[0])]
    shown = found if every else found[:LAYERS_SHOWN]
    lines = [
        f"{file}  {size_text(file.stat().st_size)}",
        *_facts(_summary(contract, graph), columns),
        "",
        "Inputs and outputs",
        *table(
            ("", "name", "type", "shape", "default"), _tensors(contract), "<<<<<", indent=GAP, columns=columns
        ),
        "",
        "Card",
        *(_facts(told, columns) or ([] if facts else [f"{GAP}(empty)"])),
        *([f"{GAP}and {len(facts) - len(told)} more: --all lists them"] if len(told) < len(facts) else []),
        "",
        "Size by layer",
        *table(
            ("layer", "kind", "weights", "zero", "size"),
            [
                (one.name, one.kind, f"{one.count:,}", _share(one.zeros, one.count), size_text(one.nbytes))
                for one in shown
            ],
            "<<>>>",
            indent=GAP,
            columns=columns,
        ),
    ]
    if len(shown) < len(found):
        rest = sum(one.nbytes for one in found[len(shown) :])
        lines.append(f"  and {len(found) - len(shown)} smaller, {size_text(rest)} together: --all lists them")
    typer.echo("\n".join(lines))


def _summary(contract: "Contract", graph: "Graph") -> list[tuple[str, str]]:
    nodes = ", ".join(f"{kind}×{count}" for kind, count in list(graph.op_counts.items())[:6])
    return [
        ("task", contract.task),
        *(
            (key, f"{len(names)}: {', '.join(names[:NAMES_SHOWN])}{', …' if names[NAMES_SHOWN:] else ''}")
            for key, names in (("labels", contract.labels), ("vocabulary", contract.vocabulary))
            if names
        ),
        ("weights", f"{graph.weight_count:,}, {_share(graph.zero_count, graph.weight_count)} of them zero"),
        ("nodes", f"{len(graph.nodes)}: {nodes}{', …' if len(graph.op_counts) > 6 else ''}"),
        (
            "format",
            f"contract {contract.version}, opset {graph.opset}, IR {graph.ir_version}, "
            f"written by {graph.producer or 'an unnamed tool'}",
        ),
        *(
            [("runs on", f"onnxruntime {graph.oldest_onnxruntime} and later")]
            if graph.oldest_onnxruntime
            else []
        ),
        ("probes", f"{len(contract.probes)}: `tombola verify` runs them"),
    ]


def _tensors(contract: "Contract") -> list[tuple[str, str, str, str, str]]:
    """What the file takes and gives; the shapes are its task's, which it was checked to have."""
    signature, defaults = contract.signature, contract.defaults
    return [
        (kind, one.name, one.dtype, _shape(one), f"{defaults[one.name]:g}" if one.name in defaults else "")
        for kind, specs in (
            ("input", signature.inputs),
            ("option", signature.optional_inputs),
            ("output", signature.outputs),
        )
        for one in specs
    ]


def _shape(spec: "TensorSpec") -> str:
    return "any" if spec.shape is None else f"[{', '.join(map(str, spec.shape))}]"


def _is_noise(name: str) -> bool:
    """Whether a fact of the card is for those who look closely: sizes, which the table below tells; hashes
    and steps; and what the figures of the comparison with PyTorch rest on."""
    return (
        name.startswith(("sizes.", "lineage.early_steps", "lineage.levels"))
        or name.endswith(".sha256")
        or (name.startswith(("parity.", "rounding.")) and "difference" not in name)
    )


def _facts(facts: list[tuple[str, str]], columns: int | None) -> list[str]:
    names = table(("",), [(name,) for name, _ in facts], "<", indent=GAP)
    edge = max(map(width, names), default=0) + len(GAP)
    lines: list[str] = []
    for name, (_, value) in zip(names, facts, strict=True):
        first, *more = wrap(one_line(value), indent=" " * edge, columns=columns)
        lines += [name + first[width(name) :], *more]
    return lines


def _flat(card: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The leaves of nested JSON as ("metrics.voc07_map", "0.641"); a list of values is one leaf."""
    if isinstance(card, dict):
        return [
            leaf
            for key, value in card.items()
            for leaf in _flat(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(card, list) and any(isinstance(value, dict) for value in card):
        return [leaf for place, value in enumerate(card) for leaf in _flat(value, f"{prefix}[{place}]")]
    if isinstance(card, list):
        return [(prefix, ", ".join(map(_plain, card)) or "none")]
    return [(prefix, _plain(card))]


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _as_json(file: Path, contract: "Contract", graph: "Graph", found: list["Layer"]) -> dict[str, Any]:
    return {
        "file": str(file),
        "nbytes": file.stat().st_size,
        "contract": contract.version,
        "task": contract.task,
        "labels": list(contract.labels),
        "vocabulary": list(contract.vocabulary),
        "defaults": dict(contract.defaults),
        "inputs": [_tensor_json(one) for one in contract.signature.inputs],
        "optional_inputs": [_tensor_json(one) for one in contract.signature.optional_inputs],
        "outputs": [_tensor_json(one) for one in contract.signature.outputs],
        "card": dict(contract.card),
        "probes": len(contract.probes),
        "opset": graph.opset,
        "ir_version": graph.ir_version,
        "oldest_onnxruntime": graph.oldest_onnxruntime or None,
        "producer": graph.producer,
        "weights": graph.weight_count,
        "zeros": graph.zero_count,
        "nodes": graph.op_counts,
        "layers": [
            {
                "name": one.name,
                "kind": one.kind,
                "weights": one.count,
                "zeros": one.zeros,
                "nbytes": one.nbytes,
            }
            for one in found
        ],
    }


def _tensor_json(spec: "TensorSpec") -> dict[str, Any]:
    return {"name": spec.name, "type": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}
