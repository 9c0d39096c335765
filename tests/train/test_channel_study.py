"""The study of channels: contenders that train, each judged once, and a report that says what numbers say."""

import math
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from tombola.errors import DataError, RecipeError, TrainingError
from tombola.train.studies.channels.contender import Contender, Result, contenders
from tombola.train.studies.channels.report import Row, answer_claims, write_report
from tombola.train.studies.channels.run_study import run_study
from tombola.train.studies.channels.study import CHANNELS, ChannelStudy, Kind
from tombola.train.tasks.table import load_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

TINY = replace(
    CHANNELS,
    most_lost=((0.5, 0.3),),
    groups=(("dense", "l1", "scratch"), ("longer", "by_macs", "mask", "ticket")),
    seeds=1,
    changes=(
        'network={kind="cnn", blocks=[[16], [16, 16]], end="mean", dense=[]}',
        "training.epochs=1",
        "training.batch_size=50",
        "training.workers=0",
    ),
)


@pytest.fixture(scope="module")
def tiny(digits_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ChannelStudy:
    """A study of digits under the names of Fashion-MNIST."""
    folder = tmp_path_factory.mktemp("fashion-mnist")
    for source, name in (("", "train"), ("test-", "t10k")):
        shutil.copyfile(digits_data / f"{source}images.gz", folder / f"{name}-images-idx3-ubyte.gz")
        shutil.copyfile(digits_data / f"{source}labels.gz", folder / f"{name}-labels-idx1-ubyte.gz")
    return TINY.with_changes([f"data.root={folder}"])


@pytest.fixture(scope="module")
def finished(tiny: ChannelStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for one in contenders(tiny, folder):
        assert one.is_ready()
        one.train()
    return folder


def test_contenders_are_what_they_are_called(tiny: ChannelStudy, finished: Path) -> None:
    of = {one.kind: one for one in contenders(tiny, finished)}
    results = {kind: one.result() for kind, one in of.items()}
    dense, half = results["dense"], results["l1"]
    # 1·16 + 16·16 + 16·16 kernels of 3×3, a scale and a shift a channel, and ten logits.
    assert dense.parameters == 9 * (16 + 2 * 256) + 2 * 48 + 170
    assert half.parameters == 9 * (8 + 2 * 64) + 2 * 24 + 90
    assert dense.macs == pytest.approx((28**2 * 9 * 16 + 14**2 * 9 * 512 + 160) / 1e6)
    assert results["scratch"].parameters == results["ticket"].parameters == half.parameters
    assert results["by_macs"].macs <= half.macs * 1.001
    assert results["mask"].parameters == dense.parameters
    assert all(
        (one.as_cut is None) == (kind not in ("l1", "by_macs", "ticket")) for kind, one in results.items()
    )
    epochs = {kind: load_recipe(one.run.recipe_path).training.epochs for kind, one in of.items()}
    assert {kind for kind, count in epochs.items() if count == 2} == {"scratch"}
    taught = {kind for kind, one in of.items() if load_recipe(one.run.recipe_path).distill.teacher}
    assert taught == {"longer", "l1", "by_macs", "ticket"}
    first, last = load_file(of["longer"].path / "initial.safetensors"), of["dense"].run.read_weights("last")
    assert (first["head.weight"] == last["head.weight"]).all()
    assert (of["mask"].run.read_weights("last")["head.weight"] == 0).float().mean() > 0.2


def test_the_report_of_a_part_and_of_the_whole(tiny: ChannelStudy, finished: Path, tmp_path: Path) -> None:
    told = write_report(tiny, finished)
    text = (finished / "report.md").read_text()
    assert len(told) == 2  # random channels and least squares at equal shares are missing
    assert "the same command goes on" not in text
    assert "| mask alone | 100 % |" in text
    assert len((finished / "study.csv").read_text().splitlines()) == 1 + 7
    shutil.copytree(finished / "seed-0" / "dense", tmp_path / "seed-0" / "dense")
    assert write_report(tiny, tmp_path) == []
    assert "1 of 7 contenders are trained; the same command goes on" in (tmp_path / "report.md").read_text()
    (tmp_path / "seed-0" / "dense" / "result.json").write_text("{}")
    with pytest.raises(TrainingError, match="is damaged"):
        write_report(tiny, tmp_path)


def row(kind: Kind, keep: float, tests: Sequence[float], valid: float = 0.9) -> Row:
    return Row(kind, keep, {seed: Result(valid, test, None, 10, 1.0) for seed, test in enumerate(tests)})


def test_claims_follow_the_numbers() -> None:
    dense = row("dense", 1.0, [0.920, 0.910])
    # What was best on the validation pictures is what counts, though another is better on the test pictures.
    rows = [dense, row("l1", 0.5, [0.918, 0.908], 0.95), row("least_squares", 0.5, [0.93, 0.93], 0.94)]
    study = replace(CHANNELS, most_lost=((0.5, 0.3),))
    (claim,) = answer_claims(study, rows)
    assert claim.holds
    assert "is l1: 91.30 ± 0.71 % of the test pictures right, -0.20 ± 0.00 points" in claim.sentence
    assert not answer_claims(replace(study, most_lost=((0.5, 0.1),)), rows)[0].holds
    for tests, verdict in (([0.90, 0.90], True), ([0.919, 0.907], False), ([0.92, 0.92], False)):
        against = answer_claims(study, [*rows, row("random", 0.5, tests)])[1]
        assert against.claim.startswith("Which channels stay matters")
        assert against.holds is verdict
    assert answer_claims(study, [*rows, row("scratch", 0.5, [0.90])])[1].holds is None
    assert math.isnan(row("random", 0.5, [0.9]).above(dense).sd)


def test_what_cannot_be_studied(tiny: ChannelStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError):
        run_study(tiny.with_changes(["data.root=nothing"]), tmp_path / "a")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TrainingError, match=r"needs ray\[tune\].*pip install 'tombola\[scale\]'"):
        run_study(tiny, tmp_path / "a", ray=True)
    assert not (tmp_path / "a").exists()
    with pytest.raises(RecipeError, match="early_stopping_epochs = 0"):
        run_study(tiny.with_changes(["training.early_stopping_epochs=1"]), tmp_path / "a")
    assert not Contender(tiny, tmp_path, 0, "ticket", 0.5).is_ready()


@pytest.mark.slow
def test_in_processes_it_comes_to_the_same_bits(tiny: ChannelStudy, finished: Path, tmp_path: Path) -> None:
    study, lines = replace(tiny, groups=tiny.groups[:1]), list[str]()
    claims = run_study(study, tmp_path / "s", jobs=2, told=lines.append)
    assert len(claims) == 2
    assert lines[-1].startswith("3/3")
    mine, theirs = (folder / "seed-0" / "l1-50" / "last.safetensors" for folder in (tmp_path / "s", finished))
    assert mine.read_bytes() == theirs.read_bytes()
    with pytest.raises(TrainingError, match="other settings"):
        run_study(study.with_changes(["training.epochs=2"]), tmp_path / "s")


class FakeRay(ModuleType):
    """As much of Ray as a study uses, with a thread for a machine of the cluster."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=RuntimeError)
        self.asked: list[dict[str, int]] = []

    def init(self, **_: object) -> None:
        self._threads = ThreadPoolExecutor()

    def shutdown(self) -> None:
        self._threads.shutdown()

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, **asked: int) -> Callable[[Callable[..., str]], SimpleNamespace]:
        self.asked.append(asked)
        return lambda function: SimpleNamespace(remote=lambda *given: self._threads.submit(function, *given))

    def wait(self, futures: list[Future[str]], timeout: float | None = None) -> tuple[list[Any], list[Any]]:
        done, todo = wait_for(futures, timeout)
        return list(done), list(todo)

    def get(self, future: Future[str]) -> str:
        return future.result()

    def cancel(self, future: Future[str]) -> None:
        future.cancel()


@pytest.mark.slow
def test_on_a_cluster_it_comes_to_the_same_bits(
    tiny: ChannelStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    study, lines = replace(tiny, groups=(("dense",),)), list[str]()
    run_study(study, tmp_path / "s", ray=True, told=lines.append)
    assert lines[-1].startswith("1/1")
    assert ray.asked == [{"num_cpus": 1, "max_retries": 0}]
    mine, theirs = (folder / "seed-0" / "dense" / "last.safetensors" for folder in (tmp_path / "s", finished))
    assert mine.read_bytes() == theirs.read_bytes()
    monkeypatch.setattr(ray, "get", lambda _: "with exit code 1, what it printed says why")
    with pytest.raises(TrainingError, match=r"seed-0/dense ended with exit code 1.*goes on from there"):
        run_study(study, tmp_path / "t", ray=True)
