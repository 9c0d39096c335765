"""The training loop: one for every task and every way to learn, on one process or many, and the same after an
interruption."""

import copy
import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from tombola.errors import TrainingError
from tombola.train.drawing.curves import draw_curves
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.learn.learner import Learner, NotFinite, Weights
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.loop.loader import load_batches, loader_errors
from tombola.train.loop.progress import ProgressLine
from tombola.train.loop.stop_signals import stop_signals
from tombola.train.loop.watch import Watch
from tombola.train.run.folder import RunFolder
from tombola.train.run.lock import lock_folder
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import SampledTask, Task

LOGGED_STEPS = 10  # a step's losses are logged as often as this


class Interrupted(Exception):  # noqa: N818  # not an error: the user asked for it
    """SIGINT, SIGTERM or SIGHUP came; the state is saved and `--resume` goes on from there."""


def train(
    task: Task,
    run: RunFolder,
    *,
    resume: bool,
    fabric: Fabric,
    learner: Learner | None = None,
    first_step: int = 0,
    quiet: bool = False,
) -> None:
    """Train until the epochs are done or the score no longer rises; everything lands in `run`.

    learner: how; by gradient descent if none is given. The result depends on the recipe and its seed, not on
    interruptions; nor on the number of processes, unless the network has parts that look at a whole batch or
    draw random numbers. first_step: begin at this step of the schedule and of the pictures' order, as if the
    steps before had been trained; a resumed run remembers it.
    Raises TrainingError (loss not finite, damaged checkpoint, a run that exists already) and Interrupted.
    """
    if task.settings.batch_size % fabric.world_size:
        raise TrainingError(
            f"training.batch_size = {task.settings.batch_size} does not divide among {fabric.world_size} "
            "processes; choose a multiple"
        )
    if resume:
        run.check_checkpoint()
    learner = learner or GradientLearner(task, fabric)
    training = _Training(task, learner, run, fabric, first_step, quiet=quiet)
    # Outermost: the signal that tells of a dead loader process may come late, while the folder is let go.
    with loader_errors(), lock_folder(run.path) if fabric.is_global_zero else nullcontext():
        training.begin(resume=resume)
        training.run_all()


class _Training:
    def __init__(
        self, task: Task, learner: Learner, run: RunFolder, fabric: Fabric, first_step: int, *, quiet: bool
    ) -> None:
        self.task, self.learner, self.run, self.fabric = task, learner, run, fabric
        self.settings = task.settings
        self.watch = Watch(learner.network, self.settings.watch_every, sum(task.expected_losses().values()))
        plan = task.plan_epoch(0)
        steps = len(plan)
        self.first_step = self.step = first_step
        self.epoch, self.epoch_step = divmod(first_step, max(steps, 1))
        self.epoch_ended = False  # by the learner; it may not be judged yet
        self.history: list[dict[str, float]] = []
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.total_steps = self.settings.epochs * steps
        if self.total_steps == 0:
            raise TrainingError(
                f"training.batch_size = {self.settings.batch_size} is more than there are training pictures; "
                "choose a smaller one"
            )
        # Batches of other pictures would be another training.
        self.plan_mark = hashlib.sha256(repr((len(plan), plan[0])).encode()).hexdigest()
        self.progress = ProgressLine(self.total_steps, quiet=quiet or not fabric.is_global_zero)

    def run_all(self) -> None:
        """Epoch after epoch: train, judge, keep."""
        answer = "stopping after this step, the state is saved; once more ends at once"
        try:
            with stop_signals(answer if self.fabric.is_global_zero else "") as stopped:
                while self.epoch < self.settings.epochs and not self._is_stale():
                    self._train_epoch(stopped)
                    self._end_epoch()
                    self._judge_epoch(stopped)
                    self._save_checkpoint()
        finally:
            self.progress.clear()
        self._save_weights("last")

    def _train_epoch(self, stopped: list[bool]) -> None:
        minutes, last_save = self.settings.checkpoint_minutes, time.monotonic()
        for batch in self._batches():
            self._train_step(batch)
            if self._any(stopped[0]):
                self._save_checkpoint()
                raise Interrupted(f"stopped after step {self.step}; continue with --resume")
            if minutes and self._any(time.monotonic() - last_save > minutes * 60):
                self._save_checkpoint()
                last_save = time.monotonic()

    def _batches(self) -> Iterator[Any]:
        """The rest of this epoch's batches, this process's share of each."""
        rank, world = self.fabric.global_rank, self.fabric.world_size
        plan = [batch[rank::world] for batch in self.task.plan_epoch(self.epoch)[self.epoch_step :]]
        yield from load_batches(self.task, plan, workers=self.settings.workers)

    def _train_step(self, batch: Any) -> None:
        seed_noise(self.task.seed, self.step, self.fabric.global_rank)
        self.watch.before_step(self.step)
        moment = Moment(self.step, self.epoch, self.total_steps)
        try:
            losses = self.learner.step(self.fabric.to_device(batch), moment)
        except NotFinite as error:
            kept = "the last checkpoint is kept" if self.run.has_checkpoint else "there is no checkpoint yet"
            raise TrainingError(f"{error}; {kept}") from None
        # In float32, as it is minimised.
        loss = torch.tensor(list(losses.values())).sum().item()
        for sentence in self.watch.after_step(self.step, loss):
            self.progress.say(sentence)
        self.step += 1
        self.epoch_step += 1
        for name, part in losses.items():
            self.sums[f"loss_{name}"] += part
        self.sums["loss"] += loss
        if self.step in self.settings.early_steps:
            self._write(f"early-{self.step}", self.learner.raw())
        if self.step % LOGGED_STEPS == 0:
            parts = {f"loss_{name}": part for name, part in losses.items()}
            self.fabric.log_dict({**parts, "loss": loss}, self.step)
        self.progress.step(self.epoch, self.step - 1, loss)

    def _end_epoch(self) -> None:
        if not self.epoch_ended:
            self.learner.end_epoch()
            self.epoch_ended = True

    def _judge_epoch(self, stopped: list[bool]) -> None:
        """Score the averaged weights, keep them if they are the best so far, and write the row."""
        row = {"epoch": float(self.epoch + 1), "step": float(self.step)}
        trained = min(self.epoch_step, self.step - self.first_step)
        row |= {name: value / trained for name, value in self._mean_sums().items()}
        last = self.epoch + 1 == self.settings.epochs
        if last or (self.epoch + 1) % self.settings.evaluate_every == 0:
            scores = self._scores(stopped).items()
            row |= {f"valid_{name}": value for name, value in scores if math.isfinite(value)}
        self.history.append(row)
        if self.fabric.is_global_zero:
            # Before the checkpoint of this epoch: a kill in between has it trained and written again.
            self.run.write_metrics(self.history)
            self.run.write_curves(draw_curves(self.history, self.task.score))
            logged = {f"epoch_{key}": value for key, value in row.items() if key not in ("epoch", "step")}
            self.fabric.log_dict(logged, self.step)
        best = self.task.score.best(self.history)
        # With nothing to judge by, the last weights are the best known.
        if best is row or (last and best is None):
            self._save_weights("best")
        self._save_weights("last")
        said = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key not in ("epoch", "step"))
        self.progress.say(f"epoch {self.epoch + 1}/{self.settings.epochs}  {said}")
        self.epoch += 1
        self.epoch_step = 0
        self.epoch_ended = False
        self.sums.clear()

    def _scores(self, stopped: list[bool]) -> dict[str, float]:
        scores: dict[str, float] | None = None

        def tell(done: int, total: int) -> None:
            self.progress.judge(done, total)
            if stopped[0]:
                raise Interrupted

        if self.fabric.is_global_zero:
            judged = copy.deepcopy(self.learner.network)
            judged.load_state_dict(self.learner.deployed().tensors)
            with torch.inference_mode(), suppress(Interrupted):
                scores = self.task.evaluate(judged.eval(), tell)
                if isinstance(self.task, SampledTask):
                    self.run.write_sample_row(self.epoch + 1, self.task.sample_row(judged))
        scores = self.fabric.broadcast(scores)
        if scores is None:
            self._save_checkpoint()
            raise Interrupted(f"stopped while epoch {self.epoch + 1} was judged; continue with --resume")
        return scores

    def _is_stale(self) -> bool:
        patience = self.settings.early_stopping_epochs
        stale = self.task.score.is_stale(self.history, patience)
        if stale:
            self.progress.say(f"no better score for {patience} epochs; stopping early")
        return stale

    def _any(self, here: bool) -> bool:
        if self.fabric.world_size == 1:
            return here
        flags = self.fabric.all_reduce(torch.tensor(float(here)), reduce_op="sum")
        assert isinstance(flags, Tensor)
        return bool(flags > 0)

    # State: begin, save, restore.

    def begin(self, *, resume: bool) -> None:
        """Write what a run begins with, or go on where it stopped."""
        if resume:
            self._restore()
            if self.fabric.is_global_zero:
                self.run.write_recipe(self.task.recipe_toml())
            return
        if self.run.has_checkpoint:
            raise TrainingError(
                f"{self.run.path} holds a run already; add --resume, or choose another folder"
            )
        strangers = self.run.strangers()
        if strangers:
            raise TrainingError(
                f"{self.run.path} is no run folder, and a run would be mixed with what it holds, "
                f"{strangers[0]} the first; choose a new one by --out"
            )
        # Every process has looked before the first one writes.
        self.fabric.barrier()
        if self.fabric.is_global_zero:
            self.run.write_lineage(self.task.lineage())
            self.run.write_widths(self.task.widths)
            self.run.write_recipe(self.task.recipe_toml())
        self._write("initial", self.learner.raw())
        # From here on a run that is killed can be resumed.
        self._save_checkpoint()

    def _restore(self) -> None:
        tensors, progress = self.run.read_checkpoint()
        if progress.get("plan", self.plan_mark) != self.plan_mark:
            raise TrainingError(
                f"the training pictures are not those that {self.run.path} began with; resume with the same, "
                "in the same order, or start anew in another folder"
            )
        if progress.get("total_steps", self.total_steps) != self.total_steps:
            self.progress.say(
                f"{self.settings.epochs} epochs are planned now: from here on the learning rate falls to "
                "the new end, so the result will not be that of as many epochs in one go"
            )
        try:
            self.learner.restore(tensors)
            self.step, self.epoch, self.epoch_step = (
                int(progress[key]) for key in ("step", "epoch", "epoch_step")
            )
            self.epoch_ended = progress.get("epoch_ended", False)
            self.first_step = progress.get("first_step", self.first_step)
            self.history = progress["history"]
            self.sums.update(progress["sums"])
            rows, _ = self.run.read_watch()
            self.watch.restore(progress["watch"], [row for row in rows if row.step <= self.step])
        except (KeyError, TypeError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint in {self.run.path} does not fit this recipe ({error}); resume with "
                "the recipe it was started with, or start anew in another folder"
            ) from None

    def _save_checkpoint(self) -> None:
        tensors = self.learner.state()
        progress = {
            "step": self.step,
            "epoch": self.epoch,
            "epoch_step": self.epoch_step,
            "epoch_ended": self.epoch_ended,
            "history": self.history,
            "sums": self._mean_sums(),
            "watch": self.watch.state(),
            "plan": self.plan_mark,
            "total_steps": self.total_steps,
            "first_step": self.first_step,
        }
        if self.fabric.is_global_zero:
            # First the table: what it has too much after a kill in between, a resume leaves out.
            self.run.write_watch(self.watch.rows, self.watch.sentences)
            self.run.write_checkpoint(tensors, progress)
        self.fabric.barrier()

    def _mean_sums(self) -> dict[str, float]:
        """The epoch's sums of losses so far, each the mean over processes."""
        sums = torch.tensor([0.0, *self.sums.values()], dtype=torch.float64)
        means = self.fabric.all_reduce(sums, reduce_op="mean")
        assert isinstance(means, Tensor)
        return dict(zip(self.sums, means[1:].tolist(), strict=True))

    def _save_weights(self, name: str) -> None:
        self._write(name, self.learner.deployed())

    def _write(self, name: str, weights: Weights) -> None:
        if self.fabric.is_global_zero:
            notes = {"step": str(self.step), "epoch": str(self.epoch), "kind": weights.kind}
            self.run.write_weights(name, weights.tensors, notes)
