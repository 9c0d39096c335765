"""The training loop: one for every task, on one process or many, and the same after an interruption."""

import copy
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.drawing.curves import draw_curves
from tombola.train.loop.average import WeightAverage
from tombola.train.loop.loader import load_batches
from tombola.train.loop.optimizer import build_optimizer
from tombola.train.loop.progress import ProgressLine
from tombola.train.loop.regularise import limit_norms, penalties
from tombola.train.loop.schedule import learning_rate_factor
from tombola.train.loop.stop_signals import stop_signals
from tombola.train.loop.watch import Watch
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.task import Task


class Interrupted(Exception):  # noqa: N818  # not an error: the user asked for it
    """SIGINT or SIGTERM came; the state is saved and `--resume` goes on from there."""


def train(task: Task, run: RunFolder, *, resume: bool, fabric: Fabric, quiet: bool = False) -> None:
    """Train until the epochs are done or the score no longer rises; everything lands in `run`.

    The result depends on the recipe and its seed, not on interruptions; nor on the number of processes,
    unless the network has parts that look at a whole batch or draw random numbers.
    Raises TrainingError (loss not finite, damaged checkpoint, a run that exists already) and Interrupted.
    """
    _Training(task, run, fabric, resume=resume, quiet=quiet).run_all()


class _Training:
    def __init__(self, task: Task, run: RunFolder, fabric: Fabric, *, resume: bool, quiet: bool) -> None:
        self.task, self.run, self.fabric, self.settings = task, run, fabric, task.settings
        if self.settings.batch_size % fabric.world_size:
            raise TrainingError(
                f"training.batch_size = {self.settings.batch_size} does not divide among {fabric.world_size} "
                "processes; choose a multiple"
            )
        network = task.build_network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = task.parameter_groups(network)
        self.rates = [group.pop("rate") for group in groups]
        optimizer = build_optimizer(self.settings, groups)
        self.parameter_names = {id(p): name for name, p in network.named_parameters()}
        self.network, self.optimizer = fabric.setup(network, optimizer)
        self.bare: nn.Module = self.network.module  # Fabric's wrapper taken off
        if isinstance(self.bare, nn.parallel.DistributedDataParallel):
            self.bare = self.bare.module
        self.average = WeightAverage(self.bare, self.settings.ema_decay)
        self.watch = Watch(self.bare, self.settings.watch_every, sum(task.expected_losses().values()))
        self.step, self.epoch, self.epoch_step = 0, 0, 0
        self.history: list[dict[str, float]] = []
        self.best_score, self.best_epoch = -math.inf, -1
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.total_steps = self.settings.epochs * len(task.plan_epoch(0))
        if self.total_steps == 0:
            raise TrainingError(
                f"training.batch_size = {self.settings.batch_size} is more than there are training pictures; "
                "choose a smaller one"
            )
        self._start(resume=resume)
        self.progress = ProgressLine(self.total_steps, self.step, quiet=quiet or not fabric.is_global_zero)

    def run_all(self) -> None:
        """Epoch after epoch: train, judge, keep."""
        with stop_signals() as stopped:
            while self.epoch < self.settings.epochs and not self._is_stale():
                self._train_epoch(stopped)
                self._judge_epoch()
                self._save_checkpoint()
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
        # Seeded by the step, so that dropout and the like repeat after a resume.
        torch.manual_seed(self.task.seed * 1_000_003 + self.step)
        self.task.prepare(self.network)
        self.watch.before_step(self.step)
        factor = learning_rate_factor(
            self.step,
            total_steps=self.total_steps,
            warmup_steps=self.settings.warmup_steps,
            final_rate=self.settings.final_rate,
        )
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = self.settings.learning_rate * factor * rate
        losses = {
            **self.task.losses(self.network, self.fabric.to_device(batch)),
            **penalties(self.bare, l1=self.settings.l1, l2=self.settings.l2),
        }
        loss = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
        )
        if not math.isfinite(float(norm)):  # type: ignore[arg-type]
            raise TrainingError(self._not_finite(losses))
        self.optimizer.step()
        if self.settings.max_norm > 0:
            limit_norms(self.bare, self.settings.max_norm)
        self.average.update(self.bare, self.step)
        for sentence in self.watch.after_step(self.step, float(loss.detach())):
            self.progress.say(sentence)
        self.step += 1
        self.epoch_step += 1
        for name, part in losses.items():
            self.sums[f"loss_{name}"] += float(part.detach())
        self.sums["loss"] += float(loss.detach())
        if self.step in self.settings.early_steps:
            self._write(f"early-{self.step}", self.bare.state_dict())
        self.progress.step(self.epoch, self.step - 1, float(loss.detach()))

    def _not_finite(self, losses: Any) -> str:
        parts = ", ".join(f"{name} {float(part.detach()):.3g}" for name, part in losses.items())
        kept = "the last checkpoint is kept" if self.run.has_checkpoint else "there is no checkpoint yet"
        return (
            f"the loss or its gradient is not finite at step {self.step + 1} ({parts}); {kept}. Try a "
            f"lower training.learning_rate (now {self.settings.learning_rate:g}), a longer "
            "training.warmup_steps, a smaller training.clip_norm, or training.precision = '32-true'"
        )

    def _judge_epoch(self) -> None:
        """Score the averaged weights, keep them if they are the best so far, and write the row."""
        row = {"epoch": float(self.epoch + 1), "step": float(self.step)}
        row |= {name: value / self.epoch_step for name, value in self._mean_sums().items()}
        last = self.epoch + 1 == self.settings.epochs
        if last or (self.epoch + 1) % self.settings.evaluate_every == 0:
            scores = self._scores().items()
            row |= {f"valid_{name}": value for name, value in scores if math.isfinite(value)}
        self.history.append(row)
        if self.fabric.is_global_zero:
            # Before the checkpoint of this epoch: a kill in between has it trained and written again.
            self.run.write_metrics(self.history)
            self.run.write_curves(draw_curves(self.history, self.task.score_name))
        score = row.get(f"valid_{self.task.score_name}")
        if score is not None and score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self._save_weights("best")
        elif last and self.best_epoch < 0:
            # Nothing to judge by: the last weights are the best known.
            self._save_weights("best")
        self._save_weights("last")
        said = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key not in ("epoch", "step"))
        self.progress.say(f"epoch {self.epoch + 1}/{self.settings.epochs}  {said}")
        self.epoch += 1
        self.epoch_step = 0
        self.sums.clear()

    def _scores(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        if self.fabric.is_global_zero:
            judged = copy.deepcopy(self.bare)
            judged.load_state_dict(self._deployed())
            with torch.inference_mode():
                scores = self.task.evaluate(judged.eval())
        return self.fabric.broadcast(scores)

    def _is_stale(self) -> bool:
        patience = self.settings.early_stopping_epochs
        name = f"valid_{self.task.score_name}"
        last_judged = max((int(row["epoch"]) - 1 for row in self.history if name in row), default=-1)
        stale = patience > 0 and self.best_epoch >= 0 and last_judged - self.best_epoch >= patience
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

    def _start(self, *, resume: bool) -> None:
        if resume:
            self._restore()
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
            self.run.write_recipe(self.task.recipe_toml())
        self._write("initial", self.bare.state_dict())
        # From here on a run that is killed can be resumed.
        self._save_checkpoint()

    def _restore(self) -> None:
        tensors, progress = self.run.read_checkpoint()
        try:
            self.bare.load_state_dict(_strip(tensors, "network."))
            average = _strip(tensors, "average.")
            for name, tensor in self.average.tensors.items():
                tensor.copy_(average[name])
            self._restore_optimizer(_strip(tensors, "optimizer."))
            self.step, self.epoch, self.epoch_step = (
                int(progress[key]) for key in ("step", "epoch", "epoch_step")
            )
            self.history = progress["history"]
            self.best_score, self.best_epoch = progress["best_score"], progress["best_epoch"]
            self.sums.update(progress["sums"])
            rows, _ = self.run.read_watch()
            self.watch.restore(progress["watch"], [row for row in rows if row.step <= self.step])
        except (KeyError, TypeError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint in {self.run.path} does not fit this recipe ({error}); resume with "
                "the recipe it was started with, or start anew in another folder"
            ) from None

    def _save_checkpoint(self) -> None:
        tensors = {f"network.{name}": t for name, t in self.bare.state_dict().items()}
        tensors |= {f"average.{name}": t for name, t in self.average.tensors.items()}
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                for key, value in self.optimizer.state.get(parameter, {}).items():
                    if value is not None:
                        name = self.parameter_names[id(parameter)]
                        tensors[f"optimizer.{name}:{key}"] = torch.as_tensor(value)
        progress = {
            "step": self.step,
            "epoch": self.epoch,
            "epoch_step": self.epoch_step,
            "history": self.history,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "sums": self._mean_sums(),
            "watch": self.watch.state(),
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

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        by_name: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in tensors.items():
            parameter_name, _, key = name.rpartition(":")
            by_name[parameter_name][key] = tensor
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                state = by_name.get(self.parameter_names[id(parameter)], {})
                if state:
                    self.optimizer.state[parameter] = {
                        key: value if key == "step" else value.to(parameter) for key, value in state.items()
                    }

    def _deployed(self) -> dict[str, Tensor]:
        """The weights that are judged and exported: the average, or the raw ones if it is off."""
        return self.average.tensors if self.settings.ema_decay > 0 else self.bare.state_dict()

    def _save_weights(self, name: str) -> None:
        self._write(name, self._deployed())

    def _write(self, name: str, tensors: dict[str, Tensor]) -> None:
        if self.fabric.is_global_zero:
            self.run.write_weights(name, tensors, {"step": str(self.step), "epoch": str(self.epoch)})


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def open_fabric(precision: str, *, device: str, processes: int) -> Fabric:
    """A launched Fabric; `processes` > 1 means that torchrun started as many of us."""
    fabric = Fabric(
        accelerator=device,
        devices=processes if device == "cpu" else "auto" if processes > 1 else 1,
        strategy="ddp" if processes > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric
