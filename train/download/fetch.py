"""Download one file: with progress, resumable, held to its hash, and never half-written under its name."""

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import tombola
from tombola.errors import DataError, OutputError
from tombola.train.download.catalogue import RemoteFile

Tell = Callable[[int, int], None]

TRIES = 5  # in a row that bring the file no further, for each url
FIRST_PAUSE_S = 1.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18


class _BrokenOffError(Exception):
    """The connection failed or broke off; a further try may do better."""


class _RefusedError(Exception):
    """The server does not give the file; this url needs no further try."""


def fetch(file: RemoteFile, folder: Path, tell: Tell, pause: Callable[[float], None] = time.sleep) -> Path:
    """Return the path of the file in `folder`, downloaded unless it is there already.

    What has come so far is kept beside it as NAME.part, and a later call goes on from there if the server
    can. `tell` is called with the bytes that are there and the bytes of the whole; `pause` waits so many
    seconds between two tries.

    DataError if no url gives the file, what came has another hash, or another file has its name;
    OutputError if there is no room.
    """
    path = folder / file.name
    if path.exists():
        if path.stat().st_size != file.size_bytes or _sha256(path) != file.sha256:
            raise DataError(f"{path} is not the file that is published; move it away to download it")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _check_room(file, part)
    troubles = []
    for url in file.urls:
        try:
            _fetch_whole(url, part, file, tell, pause)
            part.replace(path)
            return path
        except (_RefusedError, _BrokenOffError) as trouble:
            troubles.append(f"{url}: {trouble}")
    kept = f"{part.stat().st_size} bytes are kept in {part}: " if _length(part) else ""
    cure = f"{kept}try again later, or bring {file.name} to {folder} yourself"
    raise DataError("\n".join([f"{file.name} cannot be downloaded:", *troubles, cure]))


def _fetch_whole(url: str, part: Path, file: RemoteFile, tell: Tell, pause: Callable[[float], None]) -> None:
    """Complete `part` from `url` and hold it to its hash."""
    while True:
        resumed = _length(part) > 0
        _complete(url, part, file, tell, pause)
        if _sha256(part) == file.sha256:
            return
        part.unlink()
        # What an earlier call or another url left may be to blame; what came in one piece is not.
        if not resumed:
            raise _RefusedError(
                f"what it gives has not the hash {file.sha256[:12]}…; its content has changed"
            )


def _complete(url: str, part: Path, file: RemoteFile, tell: Tell, pause: Callable[[float], None]) -> None:
    """Ask for what is missing of `part` until nothing is. Tries that bring it further are not counted."""
    failures, furthest = 0, _length(part)
    while _length(part) != file.size_bytes:
        try:
            _ask_once(url, part, file, tell)
        except _BrokenOffError:
            failures = 0 if _length(part) > furthest else failures + 1
            furthest = max(furthest, _length(part))
            if failures == TRIES:
                raise
            pause(FIRST_PAUSE_S * 2 ** max(failures - 1, 0))


def _ask_once(url: str, part: Path, file: RemoteFile, tell: Tell) -> None:
    """Append to `part` what one answer brings. _BrokenOffError if it brings less than all."""
    start = _length(part)
    if start > file.size_bytes:
        part.unlink()
        start = 0
    headers = {"User-Agent": f"tombola/{tombola.__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _BrokenOffError("it has less than was downloaded before") from None
        trouble = f"the server answers {error.code} {error.reason}"
        if error.code >= 500 or error.code in (408, 429):
            raise _BrokenOffError(trouble) from None
        raise _RefusedError(trouble) from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"no connection ({getattr(error, 'reason', error)})") from None
    with answer:
        if start and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-"):
            _begin_anew(answer, part, file.size_bytes, tell)
        else:
            _append(answer, part, start, file.size_bytes, tell)


def _begin_anew(answer: http.client.HTTPResponse, part: Path, size_bytes: int, tell: Tell) -> None:
    """The server cannot resume: take what it gives in place of `part`, unless it gives less."""
    fresh = part.with_name(f"{part.name}.new")
    try:
        _append(answer, fresh, 0, size_bytes, tell)
    finally:
        if _length(fresh) > _length(part):
            fresh.replace(part)
        fresh.unlink(missing_ok=True)


def _no_link(path: str, flags: int) -> int:
    # The name is known before: somebody may have planted a link there.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _append(answer: http.client.HTTPResponse, part: Path, start: int, size_bytes: int, tell: Tell) -> None:
    done = start
    with open(part, "r+b" if start else "wb", opener=_no_link) as out:
        out.seek(start)
        while True:
            tell(done, size_bytes)
            try:
                chunk = answer.read1(CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenOffError(f"it broke off after {done} of {size_bytes} bytes ({error})") from None
            if not chunk:
                break
            done += len(chunk)
            if done > size_bytes:
                raise _RefusedError(f"it gives more than the {size_bytes} bytes that are published")
            out.write(chunk)
    if done < size_bytes:
        raise _BrokenOffError(f"it broke off after {done} of {size_bytes} bytes")


def _check_room(file: RemoteFile, part: Path) -> None:
    needed, free = file.size_bytes - _length(part), shutil.disk_usage(part.parent).free
    if needed > free:
        raise OutputError(
            f"{part.parent} has room for {free} bytes, and {file.name} needs {needed}; free some, or choose "
            "another folder by --to"
        )


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
