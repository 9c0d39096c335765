"""Fewer bits: which nodes, what is left of the numbers, and that a file is measured before it is written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnx.parser
import onnx.reference
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

import tombola.export.quantize.quantize as quantize_module
from tombola.cli.shipped import model_or_shipped
from tombola.errors import ExportError
from tombola.export.graph.half import raise_half
from tombola.export.parity.question import drawn_picture
from tombola.export.quantize.layers import plan
from tombola.export.quantize.pictures import calibration_feeds
from tombola.export.quantize.pool import rectify_behind_pool
from tombola.export.quantize.processor import PROCESSORS, this_processor
from tombola.export.quantize.quantize import QuantizeReport, quantize_file
from tombola.export.quantize.sensitive import choose
from tombola.runtime.load import inspect_model, load
from tombola.runtime.modelfile.layers import layers
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.session.bench import BenchResult
from tombola.runtime.verify import verify
from tombola.train.evaluate import Named
from tombola.train.metrics.classification import ClassificationScores

PHOTOS = Path(__file__).parents[1] / "photos"
CLASSIFIER = model_or_shipped(None, "classify")


def raised(path: Path) -> onnx.ModelProto:
    model = onnx.load(path)
    raise_half(model.graph)
    return model


def stored(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def bench_of(after_ms: float) -> Callable[..., list[BenchResult]]:
    """What takes the place of `bench`: the new file takes so long, the float file 2 ms."""

    def bench(paths: Sequence[Path], *_: Any, **__: Any) -> list[BenchResult]:
        return [
            BenchResult(path, path.stat().st_size, "cpu", 1, (ms,) * 50, 100.0, 0.1, 1, 1)
            for path, ms in zip(paths, (2.0, after_ms), strict=True)
        ]

    return bench


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """measured(ms): from now on every new file takes so long."""
    return lambda after_ms: monkeypatch.setattr(quantize_module, "bench", bench_of(after_ms))


def drawn(folder: Path) -> Path:
    """A folder of nine drawn pictures, of nine sizes."""
    folder.mkdir()
    for seed in range(9):
        cv2.imwrite(str(folder / f"{seed}.png"), drawn_picture((40 + 3 * seed, 60), seed))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return drawn(tmp_path / "pictures")


def test_raising_is_storing_taken_back() -> None:
    halves, wide = stored(onnx.load(CLASSIFIER)), stored(raised(CLASSIFIER))
    assert wide.keys() == halves.keys()
    assert "blocks.1.0.weight" in wide
    for name, values in wide.items():
        assert values.dtype != np.float16
        np.testing.assert_array_equal(values, halves[name])
    casts = [node for node in raised(CLASSIFIER).graph.node if node.name.endswith("/float32")]
    assert casts == []


def test_the_plan_of_a_detector() -> None:
    """Stem, first stage and what gives the answers stay in float; sums and upsampling follow the layers, and
    nothing of anchors, boxes, before or after does."""
    found = plan(raised(model_or_shipped(None, "detect")).graph)
    assert found.left == (
        "backbone.stages.0",
        "backbone.stages.1.0.layers.0",
        "backbone.stages.1.0.layers.1",
        "proposals.objectness",
        "proposals.offsets",
        "roi_head.offsets",
        "roi_head.classes",
    )
    assert {"neck.laterals.0", "neck.smooths.2", "roi_head.hidden.3"} <= set(found.layers)
    kinds: dict[str, int] = {}
    for node in raised(model_or_shipped(None, "detect")).graph.node:
        if node.name in found.nodes:
            kinds[node.op_type] = kinds.get(node.op_type, 0) + 1
    # 9 residual sums and 2 of the pyramid; 30 of the 32 layers that end in a Clip; 3 + 2 rectifiers.
    assert kinds == {"Conv": 57, "Gemm": 2, "Clip": 30, "Add": 11, "Resize": 2, "Relu": 5}
    assert all(name.startswith("net/") for name in found.nodes)


def test_the_plan_leaves_out_what_it_is_told_to() -> None:
    graph = raised(CLASSIFIER).graph
    whole, less = plan(graph), plan(graph, ["blocks.1.0", "blocks.1.1"])
    assert whole.left == ("blocks.0.0", "head")
    assert set(whole.layers) - set(less.layers) == {"blocks.1.0", "blocks.1.1"}
    assert {"net/Relu_2", "net/Relu_3", "net/MaxPool_1"} == {
        name for name in whole.nodes - less.nodes if not name.startswith("net/blocks")
    }


POOLED = """
<ir_version: 9, opset_import: ["" : 20]>
pooled (float[1, 3, 9, 9] x) => (float[n, m, h, v] y)
<float[4, 3, 3, 3] w = {%s}>
{
  a = Conv (x, w)
  b = Relu (a)
  c = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (b)
  y = Conv <kernel_shape = [1, 1]> (c, v)
}
""".replace("(c, v)", "(c, u)").replace("}>\n{", "}, float[2, 4, 1, 1] u = {1, -2, 3, 4, 5, 6, 7, 8}>\n{")


def test_a_rectifier_behind_the_pool_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    model = onnx.parser.parse_model(POOLED % ", ".join(f"{v:.3f}" for v in rng.normal(size=108)))
    for place, node in enumerate(model.graph.node):
        node.name = f"net/{place}"
    x = rng.normal(size=(1, 3, 9, 9)).astype(np.float32) - 2
    (before,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    rectify_behind_pool(model.graph, {"net/3"})
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "MaxPool", "Conv"]
    rectify_behind_pool(model.graph, {"net/0"})
    assert [node.op_type for node in model.graph.node] == ["Conv", "MaxPool", "Max", "Conv"]
    onnx.checker.check_model(model)
    (after,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_array_equal(after, before)
    assert np.ptp(before) > 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> QuantizeReport:
    """The classifier that ships in int8, made believe that it is four times as fast."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize_module, "bench", bench_of(0.5))
        return quantize_file(CLASSIFIER, folder / "small.onnx", "int8", pictures=drawn(folder / "pictures"))


def test_an_int8_file_keeps_its_contract_and_its_numbers(small: QuantizeReport) -> None:
    dense, model = load(CLASSIFIER, "cpu"), load(small.path, "cpu")
    assert (model.labels, model.contract.defaults) == (dense.labels, dense.contract.defaults)
    for photo in ("trousers.png", "chelsea.jpg"):
        feeds = {"image": read_rgb(PHOTOS / photo)}
        one, other = (each.outputs(feeds)["probabilities"] for each in (model, dense))
        assert np.abs(one - other).max() < 0.08
    assert verify(small.path, "cpu").ok
    assert small.nbytes == small.path.stat().st_size < 0.6 * CLASSIFIER.stat().st_size
    assert (small.pictures, small.speed.ratio, small.left_out) == (9, 4.0, ())

    written = onnx.load(small.path)
    assert {node.domain for node in written.graph.node} == {""}
    assert (written.ir_version, [one.version for one in written.opset_import]) == (9, [20])
    assert written.graph.input == onnx.load(CLASSIFIER).graph.input
    now, before = stored(written), stored(onnx.load(CLASSIFIER))
    for layer in small.layers:
        whole, scale = now[f"{layer}.weight"], now[f"{layer}.weight/scale"]
        assert whole.dtype == np.int8
        off = np.absolute(whole * scale.reshape(-1, 1, 1, 1) - before[f"{layer}.weight"])
        assert (off <= 0.5001 * scale.reshape(-1, 1, 1, 1)).all()


def test_an_int8_file_is_read_as_what_it_is(small: QuantizeReport) -> None:
    """Scales and zero points are no weights, and a layer is what computes with them."""
    dense, graph = inspect_model(CLASSIFIER)[1], inspect_model(small.path)[1]
    new_scalars = sum(tensor.name.endswith(("_scale", "_zero_point")) for tensor in graph.initializers)
    assert graph.weight_count == dense.weight_count
    assert new_scalars > 0
    kinds = {one.name: one.kind for one in layers(graph)}
    assert {kinds[name] for name in small.layers} == {"Conv"}
    assert "DequantizeLinear" not in {one.kind for one in layers(graph) if one.count > 1}


def test_the_card_tells_what_was_done_and_what_held_before(small: QuantizeReport) -> None:
    card, old = small.contract.card, load(CLASSIFIER, "cpu").contract.card
    assert load(small.path, "cpu").contract == small.contract
    told = card["quantisation"]
    assert (told["precision"], told["pictures"], told["layers"]) == ("int8", 9, 6)
    assert told["layers_in_float"] == ["blocks.0.0", "head"]
    assert (told["speed"]["before_p50_ms"], told["speed"]["after_p50_ms"]) == (2.0, 0.5)
    assert told["float_file"]["parity"] == old["parity"]
    assert card["lineage"]["quantised"] == {"precision": "int8", "from": told["float_file"]["sha256"]}
    assert not {"parity", "rounding", "metrics"} & card.keys()
    assert card["licence"] == old["licence"]
    assert card["sizes"]["weights"] == old["sizes"]["weights"]


def test_verify_finds_an_int8_file_with_a_wrong_scale(small: QuantizeReport) -> None:
    model = onnx.load(small.path)
    (scale,) = (one for one in model.graph.initializer if one.name == "blocks.1.1.weight/scale")
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(1.5), scale.name))
    assert not verify(model.SerializeToString(), "cpu").ok


def test_a_file_that_is_not_faster_is_refused_with_both_figures(
    pictures: Path, tmp_path: Path, measured: Callable[[float], None]
) -> None:
    measured(2.5)
    output = tmp_path / "slow.onnx"
    with pytest.raises(ExportError, match=r"2\.50 ms against 2\.00 ms of the float file \(×0\.80\)"):
        quantize_file(CLASSIFIER, output, "int8", pictures=pictures)
    assert not output.exists()
    assert quantize_file(CLASSIFIER, output, "int8", pictures=pictures, force=True).speed.ratio == 0.8
    with pytest.raises(ExportError, match="is quantised already"):
        quantize_file(output, tmp_path / "twice.onnx", "int8", pictures=pictures)


def test_float16_is_for_gpus_and_computes_in_it(tmp_path: Path, measured: Callable[[float], None]) -> None:
    measured(1.0)
    output = tmp_path / "half.onnx"
    with pytest.raises(ExportError, match="fp16 is for GPUs: on this machine"):
        quantize_file(CLASSIFIER, output, "fp16")
    quantize_file(CLASSIFIER, output, "fp16", force=True)
    graph = onnx.load(output).graph
    given = {name: node for node in graph.node for name in node.output}
    convolutions = {node.name: node for node in graph.node if node.op_type == "Conv"}
    assert "/float16" not in convolutions["net/blocks.1.0_0"].input[1]  # stored so, no Cast before it
    assert given[convolutions["net/blocks.0.1_0"].input[0]].op_type == "Cast"
    assert verify(output, "cpu").ok
    feeds = {"image": read_rgb(PHOTOS / "trousers.png")}
    one, other = (load(path, "cpu").outputs(feeds)["probabilities"] for path in (output, CLASSIFIER))
    assert 0 < np.abs(one - other).max() < 0.01 or np.array_equal(one, other)


def test_held_out_pictures_tell_what_it_costs(
    pictures: Path, tmp_path: Path, measured: Callable[[float], None]
) -> None:
    measured(0.5)
    photos = tmp_path / "photos" / "trouser"
    photos.mkdir(parents=True)
    (photos / "one.png").write_bytes((PHOTOS / "trousers.png").read_bytes())
    report = quantize_file(
        CLASSIFIER, tmp_path / "s.onnx", "int8", pictures=pictures, held_out=Named(tmp_path / "photos")
    )
    assert report.score_before is not None
    assert report.score_after is not None
    assert (report.score_before.main, report.score_after.main) == (1.0, 1.0)
    assert report.contract.card["quantisation"]["score"] == {
        "name": "accuracy",
        "before": 1.0,
        "after": 1.0,
        "difference_interval": [0.0, 0.0],
        "pictures": 1,
    }


def test_pictures_of_the_wrong_kind(pictures: Path, tmp_path: Path, make_classifier: Any) -> None:
    output = tmp_path / "m.onnx"
    with pytest.raises(ExportError, match="name a folder of 64 or more"):
        quantize_file(CLASSIFIER, output, "int8")
    few = tmp_path / "few"
    few.mkdir()
    (few / "one.png").write_bytes((pictures / "0.png").read_bytes())
    with pytest.raises(ExportError, match=r"few has 1 pictures, and int8 is fitted to 8 at least"):
        quantize_file(CLASSIFIER, output, "int8", pictures=few)
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(make_classifier())
    with pytest.raises(ExportError, match=r"plain\.onnx has no layer that would gain by int8"):
        quantize_file(plain, output, "int8", pictures=pictures)
    assert not output.exists()


def scores(right: int, of: int = 1000) -> ClassificationScores:
    return ClassificationScores(("a",), np.zeros((1, 1), np.int64), 1.0, np.arange(of) < right)


COST = {"a.0": 5, "a.1": 0, "b.0": 60, "b.1": 40, "c.0": 30}


def left_out(
    most_drop: float, cost: dict[str, int] = COST, seconds: float = 60.0, of: int = 1000
) -> tuple[tuple[str, ...], float]:
    """What is left out of a network whose layers cost so many of a thousand pictures each."""
    made = choose(
        lambda left: sum(lost for layer, lost in cost.items() if layer not in left),
        lambda lost: scores(of - lost, of),
        list(cost),
        scores(of, of),
        most_drop=most_drop,
        seconds=seconds,
    )
    return made.left_out, made.scores.main


def test_what_costs_most_is_left_in_float_until_the_drop_is_small() -> None:
    assert left_out(0.2) == ((), 0.865)
    assert left_out(0.05) == (("b.0", "b.1"), 0.965)
    assert left_out(0.01) == (("b.0", "b.1", "c.0"), 0.995)
    assert left_out(0.0) == (("b.0", "b.1", "c.0", "a.0", "a.1"), 1.0)
    assert left_out(0.0, seconds=0.0) == ((), 0.865)


def test_what_chance_explains_leaves_nothing_out() -> None:
    assert left_out(0.0, {"a.0": 1}, of=20) == ((), 0.95)


def test_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr("tombola.export.quantize.processor.CPU_INFO", info)
    for machine, flags, wanted in (
        ("x86_64", "flags : sse avx2 avx512_vnni", "x64"),
        ("x86_64", "flags : sse avx2", "x64-avx2"),
        ("aarch64", "Features : asimd", "arm"),
    ):
        monkeypatch.setattr("platform.machine", lambda name=machine: name)
        info.write_text(flags)
        assert this_processor() is PROCESSORS[wanted]
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    info.unlink()
    assert this_processor() is PROCESSORS["x64"]


@pytest.mark.parametrize(("name", "unsigned", "most"), [("x64-avx2", True, 64), ("arm", False, 127)])
def test_other_processors_get_other_bytes(
    name: str, unsigned: bool, most: int, pictures: Path, tmp_path: Path, measured: Callable[[float], None]
) -> None:
    measured(0.5)
    report = quantize_file(
        CLASSIFIER, tmp_path / "m.onnx", "int8", pictures=pictures, processor=PROCESSORS[name]
    )
    tensors = stored(onnx.load(report.path))
    assert np.abs(tensors["blocks.1.0.weight"].astype(int)).max() == most
    zero_points = [array for key, array in tensors.items() if key.startswith("relu") and "zero_point" in key]
    assert {array.dtype.name for array in zero_points} == {"uint8" if unsigned else "int8"}
    assert verify(report.path, "cpu").ok


def test_pictures_of_idx_need_no_labels(tmp_path: Path) -> None:
    images_u8 = np.random.default_rng(0).integers(0, 256, (100, 6, 5), np.uint8)
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(bytes((0, 0, 8, 3)) + np.array(images_u8.shape, ">i4").tobytes() + images_u8.tobytes())
    feeds = calibration_feeds(path, load(CLASSIFIER, "cpu").contract)
    assert len(feeds) == 64
    np.testing.assert_array_equal(feeds[32]["image"], np.repeat(images_u8[50][..., None], 3, axis=2))


def test_a_task_without_pictures_has_nothing_to_fit_to(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = load(CLASSIFIER, "cpu").contract
    blind = replace(contract.signature, inputs=())
    monkeypatch.setattr(type(contract), "signature", blind)
    with pytest.raises(ExportError, match="takes none; leave it float"):
        calibration_feeds(PHOTOS, contract)
