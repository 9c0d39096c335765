"""500 damaged annotation files of all formats: each is read, or refused by one of our errors, soon and small.

The files are read in a process of their own, whose largest memory is looked at: `python FILE FOLDER`.
"""

import gzip
import io
import json
import pickle
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tombola.runtime.session.memory import own_peak_mib

CASES = 500
MOST_SECONDS = 2.0
MOST_MIB = 1024

BITS = (
    b"[", b"{", b"(", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"-", b"1e999", b"NaN", b"null", b"\n", b"&a;",
    b"<a>", b"9" * 5000, b"[" * 3000, b"{\"a\":" * 3000, b"- " * 3000, b"<object>" * 3000, b"\x80\x04", b"'",
    b"\"", b"..", b"true", b"0.5 " * 500, b"(" * 500, b"\xff\xff\xff\xff", b"\x7f", b"a" * 5000, b"*a",
    b"!!python/object:os.system",
)  # fmt: skip


def picture() -> bytes:
    return cv2.imencode(".png", np.arange(80 * 100 * 3, dtype=np.uint8).reshape(80, 100, 3))[1].tobytes()


def good_files() -> dict[str, bytes]:
    """One sound file of each format, by the name under which a set needs it."""
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0},
            {"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 30, 2, 30, 40]]},
            {"image_id": 1, "category_id": 1, "segmentation": {"size": [80, 100], "counts": [90, 9, 7901]}},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    voc = (
        '<?xml version="1.0"?><annotation><filename>a.png</filename><size><width>100</width>'
        "<height>80</height></size><object><name>cat</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40"
        "</xmax><ymax>60</ymax></bndbox></object></annotation>"
    )
    data = np.arange(2 * 3072, dtype=np.uint64).astype(np.uint8).reshape(2, 3072)
    idx = bytes.fromhex("00000803 00000002 00000002 00000002") + bytes(8)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for name in ("cat/é.png", f"dog/{'x' * 120}.png"):
            info = tarfile.TarInfo(name)
            info.size = len(picture())
            packed.addfile(info, io.BytesIO(picture()))
    return {
        "coco/boxes.json": json.dumps(coco).encode(),
        "voc/xml/a.xml": voc.encode(),
        "yolo/labels/a.txt": b"0 .25 .5 .3 .5\n1 0.1 0.25 0.5 0.5 0.3 0.75\n",
        "yolo/data.yaml": b"names:\n  0: cat\n  1: 'dog'  # good\nnc: 2\n",
        "yolo2/labels/classes.txt": b"cat\ndog\n",
        "idx/pictures": idx,
        "idx/packed.gz": gzip.compress(idx),
        "idx/labels": bytes.fromhex("00000801 00000002 0001"),
        "cifar/data_batch_1": pickle.dumps({"data": data, "labels": [0, 1]}, 2),
        "cifar5/data_batch_1": pickle.dumps({b"data": data, b"labels": [0, 1]}, 5),
        "cifar/batches.meta": pickle.dumps({"label_names": ["cat", "dog"]}, 2),
        "tar/classes.tar": tar.getvalue(),
        "recipe.toml": b'task = "classify"\n[data]\ntrain = [{ pictures = "a" }]\n[network]\nkind = "mlp"\n',
    }


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with one to four places cut, doubled, turned over or filled with what readers stumble on."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 1, 2, 4, 16, 64)))
        kind = rng.randrange(6)
        if kind == 0:
            data = data[:start]
        elif kind == 1:
            data = data[:start] + data[end:]
        elif kind == 2:
            data = data[:start] + data[start:end] * rng.choice((2, 50, 1000)) + data[end:]
        elif kind == 3:
            data = data[:start] + bytes(rng.randrange(256) for _ in range(end - start)) + data[end:]
        else:
            data = data[:start] + rng.choice(BITS) + data[end if kind == 4 else start :]
    return data


def readers(root: Path) -> dict[str, Callable[[], object]]:
    """What reads each file of `good_files`, with all that it looks at."""
    from tombola.train.data.boxes import formats
    from tombola.train.data.boxes.check import check
    from tombola.train.data.labels import classify_formats
    from tombola.train.data.labels.labelled_check import look_at
    from tombola.train.recipe.recipe import read_toml

    def boxes(annotations: str, name: str) -> Callable[[], object]:
        return lambda: check(formats.read(root / annotations, root / "photos", format_name=name))

    def labels(pictures: str, name: str, numbers: str | None = None) -> Callable[[], object]:
        return lambda: look_at(
            classify_formats.read(root / pictures, root / numbers if numbers else None, format_name=name)
        )

    return {
        "coco/boxes.json": boxes("coco/boxes.json", "coco"),
        "voc/xml/a.xml": boxes("voc/xml", "voc"),
        "yolo/labels/a.txt": boxes("yolo/labels", "yolo"),
        "yolo/data.yaml": boxes("yolo/labels", "yolo"),
        "yolo2/labels/classes.txt": boxes("yolo2/labels", "yolo"),
        "idx/pictures": labels("idx/pictures", "idx", "idx/labels"),
        "idx/packed.gz": labels("idx/packed.gz", "idx", "idx/labels"),
        "idx/labels": labels("idx/pictures", "idx", "idx/labels"),
        "cifar/data_batch_1": labels("cifar/data_batch_1", "cifar"),
        "cifar5/data_batch_1": labels("cifar5/data_batch_1", "cifar"),
        "cifar/batches.meta": labels("cifar/data_batch_1", "cifar"),
        "tar/classes.tar": labels("tar/classes.tar", "folder"),
        "recipe.toml": lambda: read_toml(root / "recipe.toml"),
    }


def write_good(root: Path) -> None:
    for name, data in {
        **good_files(), "photos/a.png": picture(), "yolo2/labels/a.txt": b"0 .5 .5 .2 .2"
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def troubles(root: Path) -> Iterator[str]:
    """Read every damaged file; yield each foreign exception and each that took too long."""
    from tombola.errors import TombolaError

    write_good(root)
    files, read = good_files(), readers(root)
    for name in files:
        read[name]()  # sound: no error at all
    for case in range(CASES):
        rng = random.Random(case)
        name = list(files)[case % len(files)]
        (root / name).write_bytes(damaged(files[name], rng))
        start = time.perf_counter()
        try:
            read[name]()
        except TombolaError as error:
            if not str(error) or len(str(error)) > 2000:
                yield f"case {case}, {name}: a message of {len(str(error))} letters"
        except BaseException as error:
            yield f"case {case}, {name}: {type(error).__name__}: {str(error)[:200]}"
        took_s = time.perf_counter() - start
        if took_s > MOST_SECONDS:
            yield f"case {case}, {name}: {took_s:.1f} s"
        (root / name).write_bytes(files[name])


@pytest.mark.slow
def test_damaged_annotations_are_refused_soon_and_small(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=CASES * MOST_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *found, peak = done.stdout.splitlines()
    assert found == []
    assert int(peak) < MOST_MIB


if __name__ == "__main__":
    for trouble in troubles(Path(sys.argv[1])):
        print(trouble)
    # Its own peak: what getrusage tells begins at that of the process which started this one.
    print(round(own_peak_mib() or 0))
