"""What lies beside annotations and is not read: harmless, or labels in another form."""

from pathlib import Path, PurePosixPath

from tombola.runtime.pictures.suffixes import PICTURE_SUFFIXES
from tombola.train.data.finding import Finding, Kind
from tombola.train.data.pictures.picture_names import PictureNames, stem_key
from tombola.train.data.pictures.pictures import PictureStore, files_in
from tombola.train.data.unread import LABEL_SUFFIXES, unread_files

_NOTES = ("readme", "license", "licence", "classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml")


def annotation_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return {path relative to the folder: path} of the files with this suffix in any case, sorted."""
    files = sorted(files_in(folder, frozenset({suffix}))) if folder.is_dir() else []
    return {path.relative_to(folder).as_posix(): path for path in files}


def passed_over(folder: Path, suffix: str, names: PictureNames, labelled: set[str]) -> list[Finding]:
    """Return a fault per file of another form that is named like a picture without a label (its stem is not
    in `labelled`), and one finding for all other files in the folder that nothing reads."""
    faults, others = [], []
    for path in sorted(files_in(folder)):
        relative = path.relative_to(folder).as_posix()
        own = path.suffix.lower()
        if own == suffix or own in PICTURE_SUFFIXES or path.name.lower().startswith(_NOTES):
            continue
        stem = stem_key(relative)
        if own in LABEL_SUFFIXES and names.with_stem(stem) and stem not in labelled:
            what = (
                f"it may hold the labels of {names.with_stem(stem)[0]}, but only {suffix} files are read here"
            )
            faults.append(Finding(Kind.BAD_ANNOTATION, relative, what, f"write it as {suffix}, or remove it"))
        else:
            others.append(relative)
    return [*faults, *unread_files(others)]


def not_annotated(chosen: set[str] | None, names: PictureNames, annotated: set[str]) -> list[Finding]:
    """Return a fault per chosen picture that is not annotated; or, without a choice, one finding for all
    pictures that no annotation speaks of."""
    without = sorted(set(names if chosen is None else chosen) - annotated)
    if chosen is not None:
        cure = "annotate it, or take it out of the list"
        return [
            Finding(Kind.BAD_ANNOTATION, name, "it is listed, but not annotated", cure) for name in without
        ]
    if not without:
        return []
    what = f"pictures that no annotation speaks of: {len(without)}, this one the first"
    return [Finding(Kind.NOT_ANNOTATED, without[0], what, "annotate them, or leave them: they are not used")]


def unread_pictures(store: PictureStore) -> list[Finding]:
    """One finding for all files among the pictures that are neither pictures nor labels: .heic, no suffix."""
    known = PICTURE_SUFFIXES | LABEL_SUFFIXES
    files = [PurePosixPath(name) for name in store.names(None)]
    others = [
        one for one in files if one.suffix.lower() not in known and not one.name.lower().startswith(_NOTES)
    ]
    return unread_files([str(one) for one in others])
