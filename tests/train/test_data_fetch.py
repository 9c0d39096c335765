"""Downloads from a server on this machine that breaks off, forgets, lies and refuses."""

import hashlib
import threading
from collections.abc import Iterator
from http.client import HTTPResponse, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tombola.errors import DataError, OutputError
from tombola.train.download import fetch as fetch_module
from tombola.train.download.catalogue import RemoteFile
from tombola.train.download.fetch import TRIES, fetch

CONTENT = np.random.default_rng(1).bytes(600_000)


class Server(ThreadingHTTPServer):
    """Serves `content`; each of `cuts` ends one answer after so many bytes; `statuses` are answered first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        if self.server.statuses:
            self.send_error(self.server.statuses.pop(0))
            return
        if "missing" in self.path:
            self.send_error(404)
            return
        content, start = self.server.content, 0
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def remote(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("x.bin", len(content), hashlib.sha256(content).hexdigest(), urls)


class Told:
    """Remembers what progress was told and how long was waited."""

    def __init__(self) -> None:
        self.bytes: list[int] = []
        self.pauses_s: list[float] = []

    def __call__(self, done: int, whole: int) -> None:
        assert whole == len(CONTENT)
        self.bytes.append(done)


def get(file: RemoteFile, folder: Path) -> Told:
    told = Told()
    assert fetch(file, folder, told, told.pauses_s.append) == folder / "x.bin"
    assert (folder / "x.bin").read_bytes() == CONTENT
    assert not (folder / "x.bin.part").exists()
    return told


def test_a_file_comes_whole_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    told = get(remote(f"{server.url}/x.bin"), tmp_path / "new" / "folder")
    assert server.asked == [("/x.bin", None)]
    assert told.bytes == sorted(told.bytes)
    assert (told.bytes[0], told.bytes[-1]) == (0, len(CONTENT))
    assert len(told.bytes) > 2
    assert told.pauses_s == []


def test_a_file_that_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    get(remote(f"{server.url}/x.bin"), tmp_path)
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("other", [b"mine", bytes(len(CONTENT))], ids=["size", "hash"])
def test_another_file_of_that_name_is_left_alone(server: Server, tmp_path: Path, other: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(other)
    with pytest.raises(DataError, match=r"x\.bin is not the file that is published; move it away"):
        fetch(remote(f"{server.url}/x.bin"), tmp_path, Told())
    assert (tmp_path / "x.bin").read_bytes() == other
    assert server.asked == []


def test_what_breaks_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 250_000]
    told = get(remote(f"{server.url}/x.bin"), tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=350000-"]
    assert told.bytes == sorted(told.bytes)
    assert told.pauses_s == [1, 1]  # it goes on, so patience starts anew


def test_a_later_call_goes_on_from_the_part_that_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT[:400_000])
    told = get(remote(f"{server.url}/x.bin"), tmp_path)
    assert server.asked == [("/x.bin", "bytes=400000-")]
    assert told.bytes[0] == 400_000


def test_a_part_that_is_complete_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT)
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("part", [b"\0" * 1000, CONTENT + b"more", b"\0" * len(CONTENT)])
def test_a_part_that_is_wrong_is_fetched_anew(server: Server, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "x.bin.part").write_bytes(part)
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert server.asked[-1] == ("/x.bin", None)


def test_a_server_that_cannot_resume_begins_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cuts = [100_000]
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-"]


def test_a_server_that_cannot_resume_and_breaks_off_sooner_loses_nothing(
    server: Server, tmp_path: Path
) -> None:
    kept = CONTENT[:200_000]
    (tmp_path / "x.bin.part").write_bytes(kept)
    server.ranges, server.cuts = False, [1000] * TRIES
    with pytest.raises(DataError, match="200000 bytes are kept"):
        fetch(remote(f"{server.url}/x"), tmp_path, Told(), pause=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin.part"]
    assert (tmp_path / "x.bin.part").read_bytes() == kept


def test_a_server_that_has_less_than_the_part_begins_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(bytes(500_000))
    server.statuses = [416]
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert [wanted for _, wanted in server.asked] == ["bytes=500000-", None]


def test_a_wrong_hash_is_named_and_nothing_stays(server: Server, tmp_path: Path) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(DataError) as caught:
        fetch(remote(f"{server.url}/x.bin"), tmp_path, Told())
    digest = hashlib.sha256(CONTENT).hexdigest()[:12]
    assert f"{server.url}/x.bin: what it gives has not the hash {digest}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_more_than_is_published_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT + bytes(10)
    with pytest.raises(DataError, match="it gives more than the 600000 bytes that are published"):
        fetch(remote(f"{server.url}/x.bin"), tmp_path, Told())
    assert not (tmp_path / "x.bin").exists()


def test_less_than_is_published_is_given_up_and_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:1000]
    told = Told()
    with pytest.raises(DataError, match=r"it broke off after 1000 of 600000 bytes|it has less than"):
        fetch(remote(f"{server.url}/x.bin"), tmp_path, told, told.pauses_s.append)
    assert not (tmp_path / "x.bin").exists()
    assert len(server.asked) < 4 * TRIES


def test_a_server_that_cannot_resume_and_always_breaks_off_is_given_up(
    server: Server, tmp_path: Path
) -> None:
    server.ranges = False
    server.cuts = [100_000] * 50
    told = Told()
    with pytest.raises(DataError, match="broke off after 100000 of 600000 bytes"):
        fetch(remote(f"{server.url}/x.bin"), tmp_path, told, told.pauses_s.append)
    assert len(server.asked) == 1 + TRIES


def test_a_mirror_helps_where_the_first_server_has_nothing(server: Server, tmp_path: Path) -> None:
    get(remote(f"{server.url}/missing", f"{server.url}/x.bin"), tmp_path)
    assert [path for path, _ in server.asked] == ["/missing", "/x.bin"]


def test_a_connection_that_is_reset_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read1, troubles = HTTPResponse.read1, [ConnectionResetError("reset by peer"), IncompleteRead(b"")]

    def break_sometimes(self: HTTPResponse, n: int = -1) -> bytes:
        if troubles and self.length is not None and self.length < 400_000:
            raise troubles.pop()
        return read1(self, n)

    monkeypatch.setattr(HTTPResponse, "read1", break_sometimes)
    get(remote(f"{server.url}/x.bin"), tmp_path)
    assert troubles == []
    assert len(server.asked) == 3
    assert all(wanted for _, wanted in server.asked[1:])


def test_what_is_not_found_is_named_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fetch(remote(f"{server.url}/missing", f"{server.url}/missing2"), tmp_path, Told())
    assert str(caught.value).splitlines() == [
        "x.bin cannot be downloaded:",
        f"{server.url}/missing: the server answers 404 Not Found",
        f"{server.url}/missing2: the server answers 404 Not Found",
        f"try again later, or bring x.bin to {tmp_path} yourself",
    ]
    assert len(server.asked) == 2


def test_a_busy_server_is_asked_again_after_longer_and_longer_pauses(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 500, 429]
    assert get(remote(f"{server.url}/x.bin"), tmp_path).pauses_s == [1, 2, 4]


def test_a_server_that_never_answers_is_given_up_and_the_part_kept(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000]
    server.statuses = []
    url = f"{server.url}/x.bin"
    told = Told()

    def pause(seconds: float) -> None:
        told.pauses_s.append(seconds)
        server.statuses = [503]

    with pytest.raises(DataError) as caught:
        fetch(remote(url), tmp_path, told, pause)
    assert f"{url}: the server answers 503 Service Unavailable" in str(caught.value)
    assert f"100000 bytes are kept in {tmp_path / 'x.bin.part'}: try again later" in str(caught.value)
    assert len(server.asked) == 1 + TRIES
    get(remote(url), tmp_path)
    assert server.asked[-1] == ("/x.bin", "bytes=100000-")


def test_no_server_at_all_is_named(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    told = Told()
    with pytest.raises(DataError, match=r"no connection .*refused"):
        fetch(remote(f"http://127.0.0.1:{port}/x.bin"), tmp_path, told, told.pauses_s.append)
    assert told.pauses_s == [1, 2, 4, 8]


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(fetch_module, "TRIES", 1)
    done = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda _: done.wait(5))
    with pytest.raises(DataError, match=r"no connection .*timed out"):
        fetch(remote(f"{server.url}/x.bin"), tmp_path, Told())
    done.set()


def test_no_room_is_said_before_anything_comes(server: Server, tmp_path: Path) -> None:
    huge = RemoteFile("x.bin", 1 << 60, "0" * 64, (f"{server.url}/x.bin",))
    with pytest.raises(OutputError, match=r"has room for \d+ bytes, and x\.bin needs \d+; .*--to"):
        fetch(huge, tmp_path, Told())
    assert server.asked == []


def test_planted_link_is_not_followed(server: Server, tmp_path: Path) -> None:
    """The name of what has come so far can be known before."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    file = remote(f"{server.url}/x.bin")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / f"{file.name}.part").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        fetch(file, folder, lambda *_: None, lambda _: None)
    assert victim.read_text() == "mine"
