"""What a file of captions holds, its faults included."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from tombola.errors import DataError
from tombola.train.data.captions.caption_set import Caption, CaptionedPicture, CaptionSet
from tombola.train.data.finding import Finding, Kind, raise_first
from tombola.train.data.pictures.clips import clip_path
from tombola.train.data.pictures.pictures import PictureStore

MOST_WORDS = 200


@dataclass(frozen=True)
class CaptionFile:
    """The pictures of one file with their captions, in its order; `findings` is what its reader stumbled
    over."""

    source: str
    records: tuple[CaptionedPicture, ...]
    pictures: PictureStore
    findings: tuple[Finding, ...] = ()

    def faults(self) -> list[Finding]:
        """Every fault that shows without opening a picture."""
        findings = list(self.findings)
        counts = Counter(record.file_name for record in self.records)
        for name, count in counts.items():
            if count > 1:
                what = f"{count} entries are of this picture"
                findings.append(Finding(Kind.ANNOTATED_TWICE, name, what, "put its captions into one"))
            if name not in self.pictures:
                cure = "copy it there, or remove it from the captions"
                findings.append(Finding(Kind.MISSING_PICTURE, name, f"is not in {self.pictures}", cure))
        if not self.records:
            cure = "check the file, its format and the name of the split"
            findings.append(Finding(Kind.NO_PICTURES, self.source, "it holds no captioned picture", cure))
        return findings

    def to_set(self) -> CaptionSet:
        """What training uses. DataError names the first faults."""
        raise_first([one for one in self.faults() if one.kind.stops_training], self.source)
        return CaptionSet(self.records, self.pictures)


class CaptionReader:
    """Gathers the captions of pictures, and what is wrong with them.

    split: the one asked for, of a file that has none: DataError.
    """

    def __init__(self, source: Path, split: str = "") -> None:
        if split:
            raise DataError(
                f"{source} has no splits, so none of it is {split!r}; leave split out, and take folds"
            )
        self.source = source
        self.findings: list[Finding] = []
        self._captions: dict[str, list[Caption]] = {}
        self._records: list[CaptionedPicture] = []

    def bad(self, where: str, what: str, cure: str = "correct it, or remove the entry") -> None:
        self.findings.append(Finding(Kind.BAD_ANNOTATION, f"{self.source.name}, {where}", what, cure))

    def words(self, caption: Caption, where: str) -> Caption | None:
        """The caption, if it can be learned from."""
        if not caption:
            self.bad(where, "the caption is empty")
        elif len(caption) > MOST_WORDS:
            self.bad(where, f"the caption has {len(caption)} words, more than {MOST_WORDS}")
        else:
            return caption
        return None

    def add(self, file_name: str, captions: list[Caption]) -> None:
        """One picture with all its captions."""
        if captions:
            self._records.append(CaptionedPicture(file_name, tuple(captions)))

    def add_one(self, file_name: str, caption: Caption, where: str) -> None:
        """One caption of a picture whose others stand elsewhere in the file."""
        if self.words(caption, where) is not None:
            self._captions.setdefault(file_name, []).append(caption)

    def finish(self, pictures: PictureStore) -> CaptionFile:
        for name, captions in self._captions.items():
            self.add(name, captions)
        records = [replace(one, path=clip_path(pictures, one.file_name)) for one in self._records]
        return CaptionFile(str(self.source), tuple(records), pictures, tuple(self.findings))
