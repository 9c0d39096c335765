"""Generators whose pictures can be worked out in the head: two pixels, level 128 + 50 · latent."""

import onnx
import onnx.parser

from tombola.runtime.contract.contract import Contract, Probe

LABELS = ("dark", "light", "lightest")

# It only decodes, and knows no classes.
PLAIN = """
<ir_version: 9, opset_import: ["" : 20]>
plain (float[n, 2] latents) => (uint8[n, height, width, channels] images, float[n, 2] codes)
<float fifty = {50.0}, float middle = {128.0}, float low = {0.0}, float high = {255.0},
 int64[4] shape = {-1, 1, 2, 1}>
{
  scaled = Mul (latents, fifty)
  levels = Add (scaled, middle)
  clipped = Clip (levels, low, high)
  rounded = Round (clipped)
  bytes = Cast <to = 2> (rounded)
  images = Reshape (bytes, shape)
  codes = Identity (latents)
}
"""

# Each class is 20 levels lighter than the one before; the first two pixels of a picture are what it encodes.
FULL = """
<ir_version: 9, opset_import: ["" : 20]>
full (float[n, 2] latents, int64[n] label, uint8[height, width, 3] image, int64 encode)
  => (uint8[n, height_out, width_out, channels] images, float[n, 2] codes)
<float fifty = {50.0}, float twenty = {20.0}, float middle = {128.0}, float low = {0.0}, float high = {255.0},
 int64[4] shape = {-1, 1, 2, 1}, int64 zero = {0}, int64[1] one = {1}, int64[3] start = {0, 0, 0},
 int64[3] end = {1, 2, 1}, int64[2] row = {1, 2}>
{
  wanted = Greater (encode, zero)
  codes = If (wanted) <
    then_branch = encoder () => (float[n, 2] found)
    {
      pixels = Slice (image, start, end)
      seen = Cast <to = 1> (pixels)
      from_middle = Sub (seen, middle)
      code = Div (from_middle, fifty)
      code_row = Reshape (code, row)
      like = Shape (latents)
      found = Expand (code_row, like)
    },
    else_branch = given () => (float[n, 2] kept) { kept = Identity (latents) }
  >
  lighter = Cast <to = 1> (label)
  lighter_scaled = Mul (lighter, twenty)
  lighter_column = Unsqueeze (lighter_scaled, one)
  scaled = Mul (codes, fifty)
  levels = Add (scaled, middle)
  labelled = Add (levels, lighter_column)
  clipped = Clip (labelled, low, high)
  rounded = Round (clipped)
  bytes = Cast <to = 2> (rounded)
  images = Reshape (bytes, shape)
}
"""


def plain_generator(**changes: object) -> bytes:
    """The file that only decodes."""
    probe = Probe(b"", {"images": [[[[128], [178]]]], "codes": [[0.0, 1.0]]}, {"latents": [[0.0, 1.0]]})
    return _file(PLAIN, {"labels": (), "probes": (probe,)} | changes)


def full_generator(**changes: object) -> bytes:
    """The conditional file, which also encodes."""
    return _file(FULL, {"labels": LABELS, "more_inputs": ("label", "image", "encode")} | changes)


def _file(text: str, facts: dict[str, object]) -> bytes:
    contract = Contract(**{"task": "generate", "defaults": {}, "sides": {"latent_size": 2}} | facts)  # type: ignore[arg-type]
    model = onnx.parser.parse_model(text)
    onnx.helper.set_model_props(model, contract.to_metadata())
    return bytes(model.SerializeToString())
