"""Options that several commands share, so that they read and mean the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tombola.cli import completion


def option_name(parameter: str) -> str:
    """What is written on the command line for a parameter: --pr-curve for pr_curve."""
    return "--set" if parameter == "changes" else f"--{parameter.replace('_', '-')}"


RayOption = Annotated[
    bool, typer.Option("--ray", help="Run on the Ray cluster of RAY_ADDRESS, or on one started here.")
]


class Device(StrEnum):
    """Where a model runs: auto takes CUDA where it really works; cuda is CUDA or an error."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="The .onnx model to run.", show_default="the one that ships"
    ),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="auto is CUDA where it really works; cuda is CUDA or an error.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, metavar="N", help="CPU threads for one picture.", show_default="all cores"
    ),
]
SourcesArgument = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE...", help="Pictures, videos, folders, patterns.", show_default=False),
]
SaveOption = Annotated[
    Path | None,
    typer.Option(
        "--save", "-s", metavar="DIR", help="Write copies with the answers drawn in to this folder."
    ),
]
WebmOption = Annotated[
    bool,
    typer.Option("--webm", help="Save videos as .webm, which browsers play; it takes longer to write."),
]
JsonLinesOption = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON for each picture or video frame.")
]
MaxPixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels", min=1, metavar="N", help="Refuse larger pictures.", show_default="100 million"
    ),
]
ScoreOption = Annotated[
    float | None,
    typer.Option(
        "--score",
        min=0.0,
        max=1.0,
        metavar="S",
        help="Show what scores above this.",
        show_default="the model's own",
    ),
]
IouOption = Annotated[
    float | None,
    typer.Option(
        "--iou",
        min=0.0,
        max=1.0,
        metavar="I",
        help="Of two boxes of a class that overlap more than this, show the better.",
        show_default="the model's own",
    ),
]
MaxOption = Annotated[
    int | None,
    typer.Option("--max", min=1, metavar="N", help="Show at most this many.", show_default="the model's own"),
]
RecipeArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        help="The .toml that says what to train on what.",
        show_default=False,
        autocompletion=completion.recipes,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe; may be repeated.",
        autocompletion=completion.set_keys,
    ),
]
AnswerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="answer.KEY=VALUE",
        help="For a run: answer otherwise than its recipe says, e.g. answer.beam_size=3; repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AnnotationsOption = Annotated[
    Path | None,
    typer.Option(
        "--annotations",
        "--labels",
        "-a",
        metavar="A",
        help="COCO's .json, the folder of VOC's or YOLO's files, or idx labels.",
    ),
]
PICTURES_HELP = "The folder, or plain .tar, of the pictures; idx pictures, CIFAR batches."
PicturesOption = Annotated[Path | None, typer.Option("--pictures", "-p", metavar="P", help=PICTURES_HELP)]
FoldsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fold",
        metavar="K/N",
        help="Of the pictures by name every N-th, from number K (0 is the first); !K/N is all others.",
    ),
]
