"""A contract file becomes one that computes in fewer bits: smaller, faster, and measured to be both."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import onnx
from onnx import numpy_helper

from tombola.errors import ExportError
from tombola.export.card import storage
from tombola.export.export import check
from tombola.export.graph.half import raise_half, store_half
from tombola.export.graph.size import sizes
from tombola.export.graph.walk import walk
from tombola.export.parity.probes import make_wide_probes
from tombola.export.quantize.dynamic import to_dynamic_int8
from tombola.export.quantize.fp16 import to_fp16
from tombola.export.quantize.int8 import measure_ranges, to_int8
from tombola.export.quantize.layers import plan
from tombola.export.quantize.pictures import Source, calibration_feeds
from tombola.export.quantize.pool import rectify_behind_pool
from tombola.export.quantize.processor import Processor, this_processor
from tombola.export.quantize.sensitive import choose
from tombola.export.quantize.subpixel import to_subpixels
from tombola.export.scoring import score_file
from tombola.export.tasks.table import EXPORTS
from tombola.export.writing import check_model_place, write_model
from tombola.runtime.contract.contract import Contract
from tombola.runtime.load import CheckedModel, check_model
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.session.bench import BenchResult, Speed, bench, speed
from tombola.runtime.tasks.difference import Arrays
from tombola.train.evaluate import Named, Scores, Split, difference_interval
from tombola.train.metrics.bootstrap import Interval
from tombola.train.tasks.table import TASKS

Precision = Literal["int8", "fp16"]
# A drop of the score that is looked into, and how long.
MOST_DROP, MOST_SECONDS = 0.005, 300.0
ROUNDS = 20
# Facts of the float file that do not hold for what is made of it.
OF_FLOAT = ("metrics", "parity", "rounding")
QUANTISED = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})
FRAME_HW = (1080, 1920)


@dataclass(frozen=True)
class QuantizeReport:
    """What was written. layers: those that compute in fewer bits; left: those that do not, by their nature;
    left_out: those that do not because of what they cost.

    before, after: the speed of the float file and of this one, in turns on this machine. score_before,
    score_after and the interval of their difference: None without held-out pictures.
    """

    path: Path
    nbytes: int
    precision: Precision
    contract: Contract
    layers: tuple[str, ...]
    left: tuple[str, ...]
    left_out: tuple[str, ...]
    pictures: int
    before: BenchResult
    after: BenchResult
    speed: Speed
    score_before: Scores | None
    score_after: Scores | None
    difference: Interval | None


def quantize_file(
    source: Path,
    output: Path,
    precision: Precision,
    *,
    pictures: Source | None = None,
    held_out: Named | Split | None = None,
    processor: Processor | None = None,
    force: bool = False,
) -> QuantizeReport:
    """Write the contract file `source` to `output` so that its network computes in int8 or float16.

    What is before and after the network stays as it is, and so do names, options and labels; the file has
    probes of its own. pictures: such as the network was trained on, 8 or better 64 and more, to fit int8 to;
    float16 needs none, nor does a generator, which is fitted to drawn latents, and where it encodes to what
    it makes of these pictures too. held_out: labelled pictures
    that tell what it costs; then layers that cost too much stay in float, which takes up to five minutes.
    processor: what int8 is for; None is this machine's.
    force: write it even if it is not faster here.

    Raises ExportError for a file that is quantised already or has nothing to quantise, and unless it is
    faster than `source` on this machine, float16 on its GPU; ModelError, DataError and PictureError for what
    cannot be read; OutputError if `output` cannot be written. Then nothing is left behind.
    """
    check_model_place(output)
    checked = check_model(source)
    model = _float_model(checked)
    processor = processor or this_processor()
    loops = precision == "int8"
    if loops:
        to_subpixels(model.graph)
    network = plan(model.graph, loops=loops)
    if not network.layers:
        raise ExportError(f"{source} has no layer that would gain by {precision}; run it as it is")
    rectify_behind_pool(model.graph, {node.name for node in model.graph.node} - network.nodes)
    make, feeds = _maker(model, precision, checked.contract, pictures, processor)
    device = "cpu" if precision == "int8" else "auto"

    def score(made: onnx.ModelProto) -> Scores:
        assert held_out is not None
        return score_file(made.SerializeToString(), held_out, device=device)

    left_out: tuple[str, ...] = ()
    score_before = score_after = None
    if held_out is None:
        made = make(())
    else:
        score_before = score_file(checked.content, held_out, device=device)
        chosen = choose(make, score, network.layers, score_before, most_drop=MOST_DROP, seconds=MOST_SECONDS)
        made, left_out, score_after = chosen.made, chosen.left_out, chosen.scores
    check(made)

    question = checked.contract.example_feeds(FRAME_HW)
    if feeds and "latents" not in question:  # a generator is asked for a sheet
        question = feeds[0]
    before, after = _race(checked.content, made, question, device)
    report = QuantizeReport(
        path=output,
        nbytes=0,
        precision=precision,
        contract=checked.contract,
        layers=plan(model.graph, left_out, loops=loops).layers,
        left=network.left,
        left_out=left_out,
        pictures=len(feeds),
        before=before,
        after=after,
        speed=speed(after.latencies_ms, before.latencies_ms),
        score_before=score_before,
        score_after=score_after,
        difference=None
        if score_before is None or score_after is None
        else difference_interval(score_after, score_before),
    )
    if not force and (report.speed.ratio <= 1 or (precision == "fp16" and after.device == "cpu")):
        raise ExportError(_slow(report))
    contract = _contract(checked, made, processor, report)
    onnx.helper.set_model_props(made, contract.to_metadata())
    nbytes = write_model(output, made.SerializeToString(deterministic=True))
    return replace(report, nbytes=nbytes, contract=contract)


def _float_model(checked: CheckedModel) -> onnx.ModelProto:
    """The file's graph with all weights as float32. ExportError if it is quantised already."""
    model = onnx.load_from_string(checked.content)
    if any(node.op_type in QUANTISED for part in walk(model.graph) for node in part.node):
        raise ExportError(
            f"{checked.name} is quantised already, and each rounding costs; quantise the float file that it "
            "was made of"
        )
    raise_half(model.graph)
    return model


def _maker(
    model: onnx.ModelProto,
    precision: Precision,
    contract: Contract,
    pictures: Source | None,
    processor: Processor,
) -> tuple[Callable[[Sequence[str]], onnx.ModelProto], Sequence[Arrays]]:
    """What makes the file of fewer bits, given layers to leave in float; and what it was fitted to."""
    if precision == "fp16":

        def make_half(left_out: Sequence[str]) -> onnx.ModelProto:
            made = to_fp16(model, plan(model.graph, left_out))
            store_half(made.graph)
            return made

        return make_half, ()
    feeds = calibration_feeds(pictures, contract)
    ranges = measure_ranges(model, feeds)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def make(left_out: Sequence[str]) -> onnx.ModelProto:
        chosen = plan(model.graph, left_out, loops=True)
        made = to_int8(model, chosen, ranges, processor)
        to_dynamic_int8(made, chosen.steps, weights, processor)
        store_half(made.graph)
        return made

    return make, feeds


def _race(
    before: bytes, after: onnx.ModelProto, question: Arrays, device: str
) -> tuple[BenchResult, BenchResult]:
    """Both files, in turns, a process each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "before.onnx", Path(folder) / "after.onnx"]
        for path, content in zip(paths, (before, after.SerializeToString()), strict=True):
            path.write_bytes(content)
        one, other = bench(paths, lambda _: question, device=device, rounds=ROUNDS)
    return one, other


def _slow(report: QuantizeReport) -> str:
    device = report.after.device
    why = "is for GPUs" if report.precision == "fp16" and device == "cpu" else "is not faster here"
    return (
        f"{report.precision} {why}: on this machine ({device}) "
        f"{report.after.latency_p50_ms:.2f} ms against {report.before.latency_p50_ms:.2f} ms of the float "
        f"file (×{report.speed.ratio:.2f}). Nothing was written; --force writes it all the same"
    )


def _contract(
    checked: CheckedModel,
    made: onnx.ModelProto,
    processor: Processor,
    report: QuantizeReport,
) -> Contract:
    """That of the new file: with probes of its own, and a card that tells the float file's facts as such."""
    old, precision = checked.contract, report.precision
    photos = [read_rgb(probe.png) for probe in old.probes if probe.png]
    probes, tolerance = make_wide_probes(made, old.task, EXPORTS[old.task].asking(old), photos)
    sha256 = hashlib.sha256(checked.content).hexdigest()
    card: dict[str, Any] = {
        **{key: value for key, value in old.card.items() if key not in OF_FLOAT},
        "lineage": {**old.card.get("lineage", {}), "quantised": {"precision": precision, "from": sha256}},
        "quantisation": {
            "precision": precision,
            **({"processor": processor.name, "pictures": report.pictures} if precision == "int8" else {}),
            "layers": len(report.layers),
            "layers_in_float": [*report.left, *report.left_out],
            **_score_facts(old.task, report),
            "speed": {
                **asdict(report.speed),
                "before_p50_ms": report.before.latency_p50_ms,
                "after_p50_ms": report.after.latency_p50_ms,
                "device": report.after.device,
                "threads": report.after.threads,
            },
            "float_file": {"sha256": sha256, **{key: old.card[key] for key in OF_FLOAT if key in old.card}},
        },
        **({"probe_tolerance": tolerance} if tolerance > 1 else {}),
        **storage(sizes(made.graph), f"{precision}; float16, computed in float32, where it is not"),
    }
    return replace(old, card=card, probes=probes)


def _score_facts(task: str, report: QuantizeReport) -> dict[str, Any]:
    if report.score_before is None or report.score_after is None or report.difference is None:
        return {}
    return {
        "score": {
            "name": TASKS[task].score.name,
            "before": report.score_before.main,
            "after": report.score_after.main,
            "difference_interval": [report.difference.low, report.difference.high],
            "pictures": report.score_after.pictures,
        }
    }
