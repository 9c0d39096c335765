"""`inspect` and `verify`: whole outputs, JSON, and files that are not what they should be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tombola.cli.sizes import size_text

Tombola = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("place")


def test_inspect(tombola: Tombola) -> None:
    size = f"{Path('model.onnx').stat().st_size / 1000:.1f} kB"
    result = tombola("inspect", "model.onnx")
    assert result.exit_code == 0
    assert result.stdout == (
        f"model.onnx  {size}\n"
        "  task     detect\n"
        "  labels   3: cat, dog, person\n"
        "  weights  30, 26.7 % of them zero\n"
        "  nodes    10: Gather×5, Cast×1, Mul×1, NonMaxSuppression×1, Shape×1, Unsqueeze×1\n"
        "  format   contract 1, opset 20, IR 10, written by an unnamed tool\n"
        "  runs on  onnxruntime 1.18 and later\n"
        "  probes   1: `tombola verify` runs them\n"
        "\n"
        "Inputs and outputs\n"
        "          name             type     shape               default\n"
        "  input   image            uint8    [height, width, 3]\n"
        "  option  score_threshold  float32  []                  0.5\n"
        "  option  iou_threshold    float32  []                  0.5\n"
        "  option  max_detections   int64    []                  10\n"
        "  output  boxes            float32  [n, 4]\n"
        "  output  scores           float32  [n]\n"
        "  output  labels           int64    [n]\n"
        "\n"
        "Card\n"
        "  licence            CC0-1.0\n"
        "  metrics.voc07_map  0.5\n"
        "  input_size_hw      32, 32\n"
        "\n"
        "Size by layer\n"
        "  layer       kind               weights     zero  size\n"
        "  shares      Mul                     12   33.3 %  48 B\n"
        "  whwh        Gather                   4   50.0 %  32 B\n"
        "  nms_scores  NonMaxSuppression        6    0.0 %  28 B\n"
        "  all_labels  Gather                   3   33.3 %  24 B\n"
        "  all_scores  Gather                   3    0.0 %  12 B\n"
        "  two         Gather                   1    0.0 %   8 B\n"
        "  zero        Unsqueeze                1  100.0 %   8 B\n"
    )


def test_a_card_of_any_shape_is_shown_flat(tombola: Tombola, model_bytes: Callable[..., bytes]) -> None:
    card = {
        "parity": {"sizes_hw": [[64, 64], [1, 1]], "off_px": 1.23456789e-7},
        "lineage": [{"level": 1, "kept": 0.8}, {"level": 2, "kept": 0.64}],
        "parent": None,
        "notes": [],
        "two\nlines": "a\nb",
    }
    Path("card.onnx").write_bytes(model_bytes(card=card))
    text = tombola("inspect", "card.onnx", "--all").stdout
    assert text.partition("Card\n")[2].partition("\n\n")[0] == (
        "  parity.sizes_hw   [64, 64], [1, 1]\n"
        "  parity.off_px     1.23457e-07\n"
        "  lineage[0].level  1\n"
        "  lineage[0].kept   0.8\n"
        "  lineage[1].level  2\n"
        "  lineage[1].kept   0.64\n"
        "  parent            none\n"
        "  notes             none\n"
        "  two lines         a b"
    )


def test_facts_for_a_close_look_are_folded(tombola: Tombola, model_bytes: Callable[..., bytes]) -> None:
    card = {
        "licence": "CC0-1.0",
        "lineage": {"parent": {"file": "a.onnx", "sha256": "ab" * 32}, "early_steps": [1]},
        "parity": {"of": "this against that", "box_difference_px": 0.001, "pictures": 11},
        "rounding": {"score_difference": 0.01, "boxes": 3},
        "sizes": {"weights": 30, "nbytes": {"backbone": 120}},
    }
    Path("card.onnx").write_bytes(model_bytes(card=card))
    text = tombola("inspect", "card.onnx").stdout
    assert text.partition("Card\n")[2].partition("\n\n")[0] == (
        "  licence                    CC0-1.0\n"
        "  lineage.parent.file        a.onnx\n"
        "  parity.box_difference_px   0.001\n"
        "  rounding.score_difference  0.01\n"
        "  and 7 more: --all lists them"
    )
    assert "lineage.parent.sha256" in tombola("inspect", "card.onnx", "--all").stdout
    Path("card.onnx").write_bytes(model_bytes(card={"sizes": {"weights": 30}}))
    assert "Card\n  and 1 more: --all lists them\n" in tombola("inspect", "card.onnx").stdout
    Path("card.onnx").write_bytes(model_bytes(card={}))
    assert "Card\n  (empty)\n" in tombola("inspect", "card.onnx").stdout


def test_inspect_json_has_what_the_table_has(tombola: Tombola) -> None:
    told = json.loads(tombola("inspect", "model.onnx", "--json").stdout)
    assert told["labels"] == ["cat", "dog", "person"]
    assert told["card"]["metrics"] == {"voc07_map": 0.5}
    assert (told["weights"], told["zeros"], told["nbytes"]) == (30, 8, Path("model.onnx").stat().st_size)
    assert (told["opset"], told["ir_version"], told["oldest_onnxruntime"]) == (20, 10, "1.18")
    assert told["inputs"] == [{"name": "image", "type": "uint8", "shape": ["height", "width", 3]}]
    assert [one["name"] for one in told["optional_inputs"]] == list(told["defaults"])
    assert told["outputs"][0] == {"name": "boxes", "type": "float32", "shape": ["n", 4]}
    assert told["layers"][0] == {"name": "shares", "kind": "Mul", "weights": 12, "zeros": 4, "nbytes": 48}
    assert sum(layer["weights"] for layer in told["layers"]) == told["weights"]


def test_inspect_lists_the_largest_layers_and_all_on_request(
    tombola: Tombola, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tombola.cli.model.inspect.LAYERS_SHOWN", 3)
    assert tombola("inspect", "model.onnx").stdout.endswith(
        "  and 4 smaller, 52 B together: --all lists them\n"
    )
    assert "  zero        Unsqueeze" in tombola("inspect", "model.onnx", "--all").stdout


def test_a_label_cannot_steer_the_terminal(tombola: Tombola, model_bytes: Callable[..., bytes]) -> None:
    Path("evil.onnx").write_bytes(model_bytes(labels=("cat\x1b[2J", "dog", "person")))
    result = tombola("inspect", "evil.onnx")
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "error: bad.onnx: no such file.\n"),
        (b"", "error: bad.onnx: the file is empty (0 bytes).\n"),
        (b"not a model", "error: bad.onnx: the file is damaged"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_files_that_are_no_models(
    tombola: Tombola, command: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        Path("bad.onnx").write_bytes(content)
    result = tombola(command, "bad.onnx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_a_cut_off_model(tombola: Tombola) -> None:
    whole = Path("model.onnx").read_bytes()
    Path("cut.onnx").write_bytes(whole[: len(whole) // 2])
    result = tombola("verify", "cut.onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cut.onnx: ")


def test_verify_a_good_copy(tombola: Tombola) -> None:
    result = tombola("verify", "model.onnx", "--device", "cpu")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "probe  expected  found  boxes off  scores off  result"
    assert lines[1].split() == ["20×10", "2", "2", "0", lines[1].split()[4], "ok"]
    assert lines[2] == (
        "model.onnx answers on cpu as it did when it was made: 2 boxes compared "
        "(allowed: boxes 0.1 px, scores 0.001)"
    )


def test_verify_a_file_that_answers_differently(
    tombola: Tombola, model_bytes: Callable[..., bytes], probe: Callable[..., object]
) -> None:
    Path("off.onnx").write_bytes(model_bytes(probes=(probe(), probe(shift_px=2))))
    result = tombola("verify", "off.onnx", "--device", "cpu")
    assert result.exit_code == 1
    assert result.stdout.endswith("  differs\n20×10: off: boxes by 2 px (allowed is 0.1 px)\n")
    assert result.stderr == "error: off.onnx: 1 of 2 answers differ on cpu; copy or export it again\n"


def test_verify_a_file_without_probes(tombola: Tombola, model_bytes: Callable[..., bytes]) -> None:
    Path("bare.onnx").write_bytes(model_bytes())
    result = tombola("verify", "bare.onnx")
    assert result.exit_code == 1
    assert "carries no probe with anything to compare" in result.stderr


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2.5e9, "2.5 GB"),
    ],
)
def test_size_text(nbytes: int, text: str) -> None:
    assert size_text(int(nbytes)) == text
