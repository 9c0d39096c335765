"""Bring public weights to this machine, as one .safetensors file that a recipe's start.weights reads."""

import json
import tempfile
import zipfile
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from tombola.errors import DataError
from tombola.train.download.fetch import fetch
from tombola.train.download.get import Tell
from tombola.train.download.weights import RemoteWeights
from tombola.train.run.folder import RunFolder
from tombola.train.start.start import read_tensors


def get_weights(weights: RemoteWeights, path: Path, tell: Tell) -> None:
    """Download the weights, held to their hash, and write their tensors under their public names to `path`,
    a .safetensors file; it is left as it is if it came from the same file.

    `tell` as `get` calls it. DataError as `fetch` says, or if another file is at `path`.
    """
    if path.exists():
        if _origin(path) != weights.file.sha256:
            raise DataError(f"{path} did not come from {weights.file.name}; move it away to download it")
        return
    file = fetch(weights.file, path.parent, partial(tell, weights.file.name))
    tensors = read_tensors(file) if not weights.member else _unpacked(file, weights.member)
    notes = {"url": weights.file.urls[0], "sha256": weights.file.sha256, "rights": weights.rights}
    RunFolder(path.parent).write_weights(path.stem, tensors, notes)
    file.unlink()


def _unpacked(file: Path, member: str) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory(dir=file.parent) as place:
        try:
            with zipfile.ZipFile(file) as archive:
                return read_tensors(Path(archive.extract(member, place)))
        except (zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"{file} holds no {member} ({error}); remove it to download it again") from None


def _origin(path: Path) -> str | None:
    """The SHA-256 of what a file was made from; None if it does not say."""
    try:
        with safe_open(path, framework="pt") as file:
            return str(json.loads((file.metadata() or {})["notes"])["sha256"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
