"""Pictures from folders and tars, and what becomes of odd and broken picture files."""

import io
import pickle
import struct
import tarfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tombola.errors import DataError, PictureError
from tombola.runtime.pictures.header import read_header
from tombola.train.data.pictures.picture_header import read_size_hw
from tombola.train.data.pictures.pictures import PictureStore, decode_rgb, merge_pictures, open_pictures

# Height 40, width 60: red on the left, blue on the right.
RED_BLUE = np.zeros((40, 60, 3), np.uint8)
RED_BLUE[:, :30, 0] = 255
RED_BLUE[:, 30:, 2] = 255


def encoded(image_rgb_u8: NDArray[np.uint8], suffix: str = ".jpg") -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def with_orientation(jpeg: bytes, orientation: int, order: str = ">") -> bytes:
    """Put an EXIF block with this orientation behind the JPEG's start marker."""
    tiff = struct.pack(order + "HI", 42, 8) + struct.pack(
        order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0
    )
    exif = b"Exif\0\0" + (b"MM" if order == ">" else b"II") + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "tar"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PictureStore:
    members = {"b.jpg": b"second", "a.jpg": b"first", "deep/c.png": b"third", "notes.txt": b"no picture"}
    if request.param == "tar":
        return open_pictures(write_tar(tmp_path / "p.tar", {f"./{k}": v for k, v in members.items()}))
    for name, data in members.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return open_pictures(tmp_path / "p")


def test_a_store_reads_by_name(store: PictureStore) -> None:
    assert list(store.names()) == ["a.jpg", "b.jpg", "deep/c.png"]
    assert store.read_bytes("deep/c.png") == b"third"
    assert store.read_bytes("b.jpg", 3) == b"sec"
    assert "a.jpg" in store
    assert "c.jpg" not in store
    assert "deep" not in store


def test_a_store_survives_a_pickle(store: PictureStore) -> None:
    store.read_bytes("a.jpg")
    assert pickle.loads(pickle.dumps(store)).read_bytes("b.jpg") == b"second"


def test_a_missing_picture_is_named(store: PictureStore) -> None:
    with pytest.raises(DataError, match=r"picture none\.jpg .*remove it from the annotations"):
        store.read_bytes("none.jpg")


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/hostname", "deep/../../secret.jpg", "", "a\0.jpg"])
def test_a_folder_gives_nothing_from_outside_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "p" / "deep").mkdir(parents=True)
    pictures = open_pictures(tmp_path / "p")
    assert name not in pictures
    with pytest.raises(DataError, match="lies outside of"):
        pictures.read_bytes(name)


def test_a_path_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or tar"):
        open_pictures(tmp_path / "nothing")
    (tmp_path / "text.tar").write_text("not a tar at all" * 100)
    with pytest.raises(DataError, match="cannot be read as a tar"):
        open_pictures(tmp_path / "text.tar")
    with pytest.raises(DataError, match="without compression"):
        open_pictures(write_tar(tmp_path / "p.tar.gz", {"a.jpg": b"a"}, "w:gz"))


def test_a_tar_that_was_cut_off_later_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "p.tar", {"a.jpg": b"x" * 5000})
    pictures = open_pictures(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"a\.jpg is cut off in"):
        pictures.read_bytes("a.jpg")


def test_merged_stores_read_each_name_from_its_own(tmp_path: Path) -> None:
    first = open_pictures(write_tar(tmp_path / "1.tar", {"a.jpg": b"1a", "b.jpg": b"1b"}))
    second = open_pictures(write_tar(tmp_path / "2.tar", {"a.jpg": b"2a", "c.jpg": b"2c"}))
    merged = merge_pictures([first, second], [["b.jpg"], ["a.jpg", "c.jpg"]])
    assert [merged.read_bytes(name) for name in merged.names()] == [b"2a", b"1b", b"2c"]
    assert pickle.loads(pickle.dumps(merged)).read_bytes("a.jpg") == b"2a"
    assert "d.jpg" not in merged
    with pytest.raises(DataError, match=r"picture d\.jpg is in none"):
        merged.read_bytes("d.jpg")
    with pytest.raises(DataError, match=r"picture a\.jpg is in two of the merged sets"):
        merge_pictures([first, second], [["a.jpg"], ["a.jpg"]])


def test_colours_come_in_rgb_order() -> None:
    image_rgb_u8 = decode_rgb(encoded(RED_BLUE, ".png"), "x")
    assert image_rgb_u8.dtype == np.uint8
    assert (image_rgb_u8 == RED_BLUE).all()


# Where the red half lies after each orientation is applied; 1 … 8 as the EXIF standard numbers them.
RED_SIDE = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}


@pytest.mark.parametrize("orientation", RED_SIDE)
@pytest.mark.parametrize("order", [">", "<"])
def test_exif_is_applied_and_the_header_says_the_same_size(orientation: int, order: str) -> None:
    data = with_orientation(encoded(RED_BLUE), orientation, order)
    image = decode_rgb(data, "x").astype(int)
    red = image[..., 0] - image[..., 2]
    sides = {"left": red[:, 5], "right": red[:, -6], "top": red[5], "bottom": red[-6]}
    assert max(sides, key=lambda side: sides[side].mean()) == RED_SIDE[orientation]
    assert read_header(data).upright_hw == image.shape[:2] == ((60, 40) if orientation >= 5 else (40, 60))


def odd_pictures() -> dict[str, bytes]:
    grey = np.full((8, 9), 100, np.uint8)
    deep = np.full((8, 9, 3), 100 * 257, np.uint16)
    clear = np.full((8, 9, 4), 100, np.uint8)
    return {
        name: cv2.imencode(".png", image)[1].tobytes()
        for name, image in (("grey", grey), ("16 bit", deep), ("alpha", clear), ("16 bit grey", deep[..., 0]))
    }


@pytest.mark.parametrize("name", odd_pictures())
def test_grey_deep_and_clear_pictures_become_rgb_u8(name: str) -> None:
    image_rgb_u8 = decode_rgb(odd_pictures()[name], name)
    assert image_rgb_u8.shape == (8, 9, 3)
    assert image_rgb_u8.dtype == np.uint8
    assert (image_rgb_u8 == 100).all()


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am a text", "not a picture"),
        (encoded(NOISE)[:2000], "cut-off JPEG"),
        (encoded(NOISE, ".png")[:2000], "cut-off PNG"),
        (encoded(NOISE)[:100], "cut off|cut-off"),
    ],
    ids=["empty", "text", "half a JPEG", "half a PNG", "head of a JPEG"],
)
def test_broken_pictures_are_named(data: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=f"photo.jpg: .*({words})"):
        decode_rgb(data, "photo.jpg")


def png_of_size(height: int, width: int) -> bytes:
    """A PNG whose header claims that size and whose pixels are missing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunks + encoded(NOISE, ".png")[33:]


def test_a_header_of_impossible_size_is_refused() -> None:
    with pytest.raises(PictureError, match=r"photo\.png: .*4,000,000,000,000 pixels, more than the limit"):
        decode_rgb(png_of_size(2_000_000, 2_000_000), "photo.png")


def test_a_tar_that_is_gone_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "p.tar", {"a.jpg": b"a"})
    pictures = open_pictures(path)
    path.unlink()
    with pytest.raises(DataError, match=r"p\.tar cannot be read: No such file"):
        pictures.read_bytes("a.jpg")


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"XX\0\x2a",
        b"MM\0\x2a\0\0",
        b"MM\0\x2a\xff\xff\xff\xff",
        struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0100, 3, 1, 6, 0, 0),  # width, not orientation
        struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 9, 0, 0),  # orientations end at 8
        struct.pack(">2sHIH", b"MM", 42, 8, 60000),  # more entries than bytes
    ],
)
def test_an_exif_block_that_says_nothing_leaves_the_picture_as_it_is(exif: bytes) -> None:
    block = b"Exif\0\0" + exif
    data = encoded(RED_BLUE)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    assert read_header(data).upright_hw == decode_rgb(data, "x").shape[:2] == (40, 60)


def test_bytes_behind_a_jpeg_do_not_make_it_broken() -> None:
    assert decode_rgb(encoded(RED_BLUE) + bytes(50), "x").shape == (40, 60, 3)


def test_the_head_of_a_jpeg_is_enough_for_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.jpg").write_bytes(with_orientation(encoded(RED_BLUE), 6, "<") + bytes(1 << 18))
    monkeypatch.setattr("tombola.train.data.pictures.picture_header.decode_rgb", None)
    assert read_size_hw(open_pictures(tmp_path), "x.jpg") == (60, 40)


@pytest.mark.parametrize("kind", [1, 3, 4])
def test_an_orientation_of_another_type_turns_picture_and_header_alike(kind: int) -> None:
    """Byte, short or long: OpenCV reads them all, in little-endian files at least."""
    exif = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, kind, 1, 6, 0)
    data = encoded(RED_BLUE)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + data[2:]
    assert read_header(data).upright_hw == decode_rgb(data, "x").shape[:2] == (60, 40)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".gif"])
def test_size_of_any_format(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(encoded(RED_BLUE, suffix))
    assert read_size_hw(open_pictures(tmp_path), f"x{suffix}") == (40, 60)


def test_size_of_a_broken_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"text")
    with pytest.raises(PictureError, match=r"x\.jpg"):
        read_size_hw(open_pictures(tmp_path), "x.jpg")


def pax_header(content: bytes) -> bytes:
    """A PAX header with this content, as a tar has it before a file."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(content)
    return info.tobuf() + content + bytes(-len(content) % 512)


def bad_tars() -> dict[str, bytes]:
    info = tarfile.TarInfo("a.jpg")
    good = info.tobuf()
    info.size = -1024
    backwards = info.tobuf(tarfile.GNU_FORMAT)
    return {
        "a header of terabytes": pax_header(b"")[:124] + b"77777777777\0" + pax_header(b"")[136:],
        "digits without end": pax_header(b"1" * 60_000) + good,
        "keywords without end": pax_header(b"2 " * 30_000) + good,
        "a size below zero": good + backwards + good,
        "a block of text in between": good + b"text" * 128 + good + bytes(1024),
        "headers without end": pax_header(b"6 a=b\n") * 3000,
    }


@pytest.mark.parametrize("case", bad_tars())
def test_a_damaged_or_hostile_tar_is_refused_at_once(tmp_path: Path, case: str) -> None:
    (tmp_path / "p.tar").write_bytes(bad_tars()[case])
    with pytest.raises(DataError, match=r"p\.tar (cannot be read as a tar|is damaged)"):
        open_pictures(tmp_path / "p.tar")


def test_long_names_and_hard_links_in_a_tar_are_read(tmp_path: Path) -> None:
    for number, form in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        name = f"{'d' * 90}/é{'x' * 90}/{'y' * 200}.jpg"
        with tarfile.open(tmp_path / f"{number}.tar", "w", format=form) as tar:
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"bytes"))
            link = tarfile.TarInfo("link.jpg")
            link.type, link.linkname = tarfile.LNKTYPE, name
            tar.addfile(link)
        pictures = open_pictures(tmp_path / f"{number}.tar")
        assert [pictures.read_bytes(one) for one in (name, "link.jpg")] == [b"bytes", b"bytes"]
