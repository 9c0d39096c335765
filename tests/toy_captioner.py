"""A captioner whose graph is a few lines, so that its captions are known by heart."""

import onnx
import onnx.parser

from tombola.runtime.contract.contract import Contract, Probe

WORDS = ("<end>", "<start>", "<unk>", "a", "dog", "cat")
DEFAULTS: dict[str, float | int] = {"beam_size": 2, "max_length": 3, "length_power": 1.0, "no_repeat": 0}

# Says "a dog" and "a cat a", which is cut; of them as many as beam_size asks for.
TOY = """
<ir_version: 9, opset_import: ["" : 20]>
toy (uint8[height, width, 3] image, int64 beam_size = {2}, int64 max_length = {3}, float length_power = {1.0},
     int64 no_repeat = {0})
  => (int64[captions, length] tokens, float[captions] scores, float[length, rows, columns] attention)
<int64[2, 3] all_tokens = {3, 4, 0, 3, 5, 3}, float[2] all_scores = {-0.25, -0.5}, int64[1] zero = {0},
 float[3, 1, 2] looked = {1.0, 0.0, 0.25, 0.75, 0.5, 0.5}, int64[1] one = {-1}>
{
  picture = Shape (image)
  bright = Cast <to = 1> (image)
  beams = Reshape (beam_size, one)
  tokens = Slice (all_tokens, zero, beams, zero)
  scores = Slice (all_scores, zero, beams, zero)
  attention = Identity (looked)
}
"""


# The same of four frames of a clip; the first word looked at the last two, the second at the first.
TOY_OF_CLIPS = (
    TOY.replace("uint8[height, width, 3] image", "uint8[n, height, width, 3] frames")
    .replace("(image)", "(frames)")
    .replace("float[3, 1, 2]", "float[3, 4, 1]")
    .replace(
        "{1.0, 0.0, 0.25, 0.75, 0.5, 0.5}", "{0.0, 0.0, 0.25, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0}"
    )
)


def toy_captioner(
    words: tuple[str, ...] = WORDS, probes: tuple[Probe, ...] = (), *, of_clips: bool = False
) -> bytes:
    """The file, with this vocabulary and these probes."""
    model = onnx.parser.parse_model(TOY_OF_CLIPS if of_clips else TOY)
    contract = Contract(
        "caption",
        (),
        DEFAULTS,
        {"input_frames": 4} if of_clips else {},
        vocabulary=words,
        probes=probes,
        more_inputs=("frames",) if of_clips else (),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    content: bytes = model.SerializeToString()
    return content
