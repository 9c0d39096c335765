"""From the sliding window to Faster R-CNN, run and compared on the same pictures: a Markdown table.

All four learn from data.train of a detector's recipe and are scored on its data.test. Every part is kept in
a folder, so that a story that was stopped goes on. Seconds are those of one core.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tombola.runtime.pictures.picture import Picture
from tombola.terminal_line import TerminalLine
from tombola.train.data.boxes.detection_set import DetectionSet
from tombola.train.metrics.average_precision import voc07_map
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Prediction
from tombola.train.networks.layers.boxes import corner
from tombola.train.regions.propose import propose
from tombola.train.regions.rcnn import RCNN, Features, RegionExample, chosen_proposals, train_rcnn
from tombola.train.regions.selective_search import MOST_PROPOSALS, selective_search
from tombola.train.regions.sliding_window import sliding_windows
from tombola.train.run.folder import write_atomic
from tombola.train.start.parent import start_network
from tombola.train.tasks.detect.recipe import DetectRecipe
from tombola.train.tasks.detect.task import LAYERS, build, load_labelled, predictor, proposals_path, truths
from tombola.train.tasks.table import load_network, load_recipe
from tombola.train.train import train_recipe

RECALL_IOUS = (0.5, 0.7)
SEARCHES_TIMED = 10

Boxes = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Method:
    """One way to detect: the proposals of picture `index` (in pixels of the picture), and what is found among
    them. search_s: seconds that proposals took which are not made here."""

    name: str
    proposals: Callable[[Pixels, int], Boxes]
    judge: Callable[[Pixels, Boxes], Prediction]
    search_s: float = 0.0


def tell_story(
    recipe_path: Path, folder: Path, overrides: Sequence[str] = (), *, most: int = MOST_PROPOSALS
) -> list[str]:
    """Run what `folder` does not hold yet; return the table's lines. Raises RecipeError, DataError and
    TrainingError.

    most: proposals of a test picture that are judged, the best of selective search; as many windows.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    overrides = (*overrides, f"data.proposals={(folder / 'proposals').resolve()}")
    recipe: DetectRecipe = load_recipe(recipe_path, overrides)
    train = load_labelled(recipe, "train")
    test = load_labelled(recipe, "test", train.classes)
    searched = {}
    for split, data in (("train", train), ("test", test)):
        names = [record.file_name for record in data.records]
        found = propose(data.pictures, names, proposals_path(recipe, split), tell=_teller(f"search {split}"))
        searched[split] = [found[name][: None if split == "train" else most] for name in names]
    search_s = _search_seconds(folder / "search.json", test)
    features = backbone_features(recipe, train.classes)
    rcnn = _rcnn(folder / "rcnn.npz", train, searched["train"], features)
    methods = [
        Method("sliding window, R-CNN's features", lambda image, _: _windows(image, most), rcnn),
        Method("R-CNN", lambda _, index: searched["test"][index], rcnn, search_s),
        _fast(recipe_path, folder / "fast", overrides, searched["test"], search_s),
        _faster(recipe_path, folder / "faster", overrides),
    ]
    rows = [
        "| | proposals a picture | recall at IoU 0.5 | at 0.7 | VOC07 mAP | seconds a picture |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for number, method in enumerate(methods):
        rows.append(_row(method, _answers(folder / f"answers-{number}.jsonl", method, test), test))
    return rows


def _windows(image_rgb_u8: Pixels, most: int) -> Boxes:
    windows = sliding_windows(*image_rgb_u8.shape[:2])
    return windows[:: -(-len(windows) // most)]


def backbone_features(recipe: DetectRecipe, classes: tuple[str, ...]) -> Features:
    """The recipe's backbone with its first weights, as a function of crops: the mean of its last map."""
    torch.manual_seed(recipe.seed)
    network = build(recipe, len(classes))
    start_network(network, recipe, classes, LAYERS)
    body = network.backbone.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture_input = recipe.picture.as_input()

    def features(crops_rgb_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        crops = torch.from_numpy(crops_rgb_u8).permute(0, 3, 1, 2)
        with torch.inference_mode():
            mean: torch.Tensor = body(picture_input.normalise(crops))[-1].mean(dim=(2, 3))
        return np.asarray(mean.numpy(), np.float32)

    return features


def _rcnn(path: Path, data: DetectionSet, proposals: Sequence[Boxes], features: Features) -> RCNN:
    if not path.exists():
        rng = np.random.default_rng(0)
        examples = []
        for index, (record, boxes) in enumerate(zip(data.records, proposals, strict=True)):
            wanted = ~record.difficult
            chosen = chosen_proposals(record.boxes_xyxy, boxes, rng)
            labels = record.labels[wanted]
            examples.append(RegionExample(data.read(index), record.boxes_xyxy[wanted], labels, chosen))
        trained = train_rcnn(examples, len(data.classes), features, tell=_teller("R-CNN"))
        beside = path.with_name("part-" + path.name)
        np.savez(beside, scale=trained.scale, svm=trained.svm, regressor=trained.regressor)
        beside.replace(path)
    with np.load(path) as kept:
        return RCNN(features, float(kept["scale"]), kept["svm"], kept["regressor"])


def _fast(
    recipe_path: Path, run: Path, overrides: Sequence[str], searched: Sequence[Boxes], search_s: float
) -> Method:
    network, recipe = _trained(recipe_path, run, (*overrides, "network.proposals=file"))
    predict = predictor(network, recipe.picture.as_input(), recipe)
    return Method(
        "Fast R-CNN",
        lambda _, index: searched[index],
        lambda image, boxes: predict(_whole(image), boxes),
        search_s,
    )


def _faster(recipe_path: Path, run: Path, overrides: Sequence[str]) -> Method:
    network, recipe = _trained(recipe_path, run, (*overrides, "network.proposals=learned"))
    picture_input = recipe.picture.as_input()
    predict = predictor(network, picture_input, recipe)

    def proposals(image_rgb_u8: Pixels, _: int) -> Boxes:
        image, (height, width), factors = picture_input(torch.from_numpy(image_rgb_u8))
        maps = network.neck(network.backbone(image))
        return np.asarray((network.propose(maps, corner(width, height, image)) * factors).numpy(), np.float32)

    return Method("Faster R-CNN", proposals, lambda image, _: predict(_whole(image), None))


def _whole(image_rgb_u8: Pixels) -> Picture:
    return Picture(image_rgb_u8, (image_rgb_u8.shape[0], image_rgb_u8.shape[1]))


def _trained(recipe_path: Path, run: Path, overrides: Sequence[str]) -> tuple[Any, DetectRecipe]:
    if not (run / "report.html").exists():  # what a training writes last
        resume = (run / "recipe.toml").exists()
        train_recipe(recipe_path, run, overrides=overrides, resume=resume, device="cpu")
    return load_network(run, "last")


def _search_seconds(path: Path, data: DetectionSet) -> float:
    """What selective search takes for a picture, on average over the first few."""
    if not path.exists():
        pictures = [data.read(index) for index in range(min(SEARCHES_TIMED, len(data)))]
        started = time.process_time()
        for picture in pictures:
            selective_search(picture)
        seconds = (time.process_time() - started) / len(pictures)
        write_atomic(path, json.dumps({"seconds": seconds, "pictures": len(pictures)}).encode())
    return float(json.loads(path.read_text())["seconds"])


def _answers(path: Path, method: Method, data: DetectionSet) -> list[dict[str, Any]]:
    """A line a picture: how proposals cover its objects, what was found among them, and how long it took."""
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # a line that was cut off is asked again
    lines: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
    write_atomic(path, whole.encode())
    tell = _teller(method.name)
    with path.open("a") as file, torch.inference_mode():
        for index in range(len(lines), len(data)):
            image, record = data.read(index), data.records[index]
            proposals = method.proposals(image, index)
            started = time.process_time()
            found = method.judge(image, proposals)
            seconds = time.process_time() - started
            ious = box_iou(proposals, record.boxes_xyxy[~record.difficult]).max(axis=0, initial=0)
            lines.append(
                {
                    "seconds": seconds,
                    "proposals": len(proposals),
                    "best_ious": np.round(ious, 5).tolist(),
                    "boxes": np.round(found.boxes_xyxy, 2).tolist(),
                    "scores": found.scores.tolist(),
                    "labels": found.labels.tolist(),
                }
            )
            file.write(json.dumps(lines[-1]) + "\n")
            file.flush()
            tell(index + 1, len(data))
    return lines


def _row(method: Method, lines: Sequence[dict[str, Any]], data: DetectionSet) -> str:
    predictions = [
        Prediction(np.reshape(one["boxes"], (-1, 4)), np.array(one["scores"]), np.array(one["labels"], int))
        for one in lines
    ]
    scores = voc07_map(predictions, truths(data), data.classes)
    best = np.concatenate([one["best_ious"] for one in lines])
    recalls = [f"{100 * np.mean(best >= iou):.1f} %" for iou in RECALL_IOUS]
    proposals, seconds = (float(np.mean([one[key] for one in lines])) for key in ("proposals", "seconds"))
    cells = (
        method.name,
        f"{proposals:,.0f}",
        *recalls,
        f"{100 * scores.mean_average_precision:.1f}",
        f"{seconds + method.search_s:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _teller(what: str) -> Callable[[int, int], None]:
    line = TerminalLine(every_s=0.5, in_a_log_s=30.0)

    def tell(done: int, total: int) -> None:
        if done < total:
            line.show(f"{what}: picture {done} of {total}")
        else:
            line.clear()

    return tell
