"""Settings for all tests, and a classifier whose answers can be worked out in the head."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tombola.runtime.contract.contract import Probe

# The networks here are so small that more threads would only wait for each other. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts us in the background has Ctrl-C ignored, which tests send to themselves and to commands.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow or busy machine is no fault of the code.
settings.register_profile("tombola", deadline=None)
settings.load_profile("tombola")

COLOURS = ("red", "green", "blue")

# The share that each channel, plus one, has in the top left pixel: (49, 29, 19) is 0.5, 0.3, 0.2.
COLOUR_CLASSIFIER = """
<ir_version: 10, opset_import: ["" : 20]>
colours (uint8[height, width, 3] image) => (float[classes] probabilities)
<int64[2] corner_at = {0, 0}, float[1] one = {1.0}>
{
  corner = GatherND (image, corner_at)
  corner_float = Cast <to = 1> (corner)
  counts = Add (corner_float, one)
  total = ReduceSum <keepdims = 0> (counts)
  probabilities = Div (counts, total)
}
"""


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., bytes]:
    """make_classifier(labels=, card=, probes=, text=, more_inputs=, more_outputs=): COLOUR_CLASSIFIER, or
    another graph, as a file."""

    def make(
        *,
        labels: tuple[str, ...] = COLOURS,
        card: Mapping[str, Any] | None = None,
        probes: "tuple[Probe, ...]" = (),
        text: str = COLOUR_CLASSIFIER,
        more_inputs: tuple[str, ...] = (),
        more_outputs: tuple[str, ...] = (),
    ) -> bytes:
        # Only some tests need it, and onnx is slow to import.
        import onnx.parser

        from tombola.runtime.contract.contract import Contract

        model = onnx.parser.parse_model(text)
        contract = Contract(
            "classify", labels, {}, card or {}, probes, more_inputs=more_inputs, more_outputs=more_outputs
        )
        onnx.helper.set_model_props(model, contract.to_metadata())
        return bytes(model.SerializeToString())

    return make


@pytest.fixture(scope="session")
def classifier_text() -> str:
    """The graph of COLOUR_CLASSIFIER, for tests that spoil it."""
    return COLOUR_CLASSIFIER
