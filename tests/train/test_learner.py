"""Learners: descent equals a plain loop to the bit, masks hold, and others than descent fit the same loop."""
# ruff: noqa: ARG002  # a toy task is given more than it needs

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tombola.errors import TrainingError
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.learn.learner import Learner, Weights
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.loop.learn.schedule import learning_rate_factor
from tombola.train.loop.loop import Interrupted, train
from tombola.train.metrics.score import Score
from tombola.train.recipe.recipe import TrainingSettings
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Tell, silent

EPOCHS, STEPS, BATCH = 3, 4, 6


class Requests(Dataset[int]):
    def __getitem__(self, request: int) -> int:
        return request


class VectorTask:
    """Requests are seeds; a picture is four numbers drawn from its seed, its label whether their sum is
    positive. `interrupt_at` sends SIGINT at that step."""

    name = "vectors"
    score = Score("right", "share", higher_is_better=True)

    def __init__(self, interrupt_at: int = -1, **settings: Any) -> None:
        chosen = {"epochs": EPOCHS, "batch_size": BATCH, "workers": 0, "warmup_steps": 2, "early_steps": (2,)}
        self.settings = TrainingSettings(**{**chosen, **settings})
        self.seed = 7
        self.widths: Mapping[str, int] = {}
        self.interrupt_at = interrupt_at
        self.moments: list[Moment] = []

    def check_shares(self) -> None:
        return None

    def recipe_toml(self) -> str:
        return "task = 'vectors'\n"

    def lineage(self) -> dict[str, Any]:
        return {"parent": None}

    def build_network(self, *, start: bool = True) -> nn.Module:
        torch.manual_seed(self.seed)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))

    def prepare(self, network: nn.Module, moment: Moment) -> None:
        network.train()

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        first, *others = network.parameters()
        return [
            {"params": [first], "rate": 0.5, "weight_decay": 0.1},
            {"params": others, "rate": 1.0, "weight_decay": 0.0},
        ]

    def plan_epoch(self, epoch: int) -> list[list[int]]:
        order = torch.randperm(STEPS * BATCH, generator=torch.Generator().manual_seed(epoch)).tolist()
        return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        return Requests()

    def collate(self, examples: Sequence[Any]) -> Tensor:
        drawn = [torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in examples]
        return torch.stack(drawn)

    def losses(self, network: nn.Module, batch: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        self.moments.append(moment)
        if len(self.moments) == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        answers = network(batch)
        right = F.cross_entropy(answers, (batch.sum(1) > 0).long())
        return {"class": right, "size": 0.01 * answers.square().mean()}

    def expected_losses(self) -> Mapping[str, float]:
        return {}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        tell(1, 1)
        return {"right": 0.5}


@pytest.fixture(autouse=True)
def quick_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing and no waiting for the disk."""
    monkeypatch.setattr("tombola.train.loop.loop.draw_curves", lambda *_: b"drawn")
    monkeypatch.setattr("os.fsync", lambda _: None)


def fabric(precision: Any = "32-true") -> Fabric:
    return Fabric(accelerator="cpu", devices=1, precision=precision)


def trained(
    task: VectorTask, path: Path, *, resume: bool = False, learner: Learner | None = None
) -> RunFolder:
    run = RunFolder(path)
    train(task, run, resume=resume, fabric=fabric(task.settings.precision), learner=learner, quiet=True)
    return run


def by_a_plain_loop(settings: TrainingSettings) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The raw and the averaged weights as PyTorch alone makes them, step by step."""
    task = VectorTask()
    network = task.build_network()
    first, *others = network.parameters()
    groups: list[dict[str, Any]] = [
        {"params": [first], "weight_decay": 0.1},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(groups)
        if settings.optimizer == "adamw"
        else torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    )
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    step = 0
    for epoch in range(EPOCHS):
        for requests in task.plan_epoch(epoch):
            torch.manual_seed(7 * 1_000_003 + step)
            rate = settings.learning_rate * learning_rate_factor(
                step, total_steps=EPOCHS * STEPS, warmup_steps=2, final_rate=settings.final_rate
            )
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 0.5 * rate, rate
            batch = task.collate(requests)
            network.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16-mixed"):
                answers = network(batch)
            answers = answers.float()
            parts = [F.cross_entropy(answers, (batch.sum(1) > 0).long()), 0.01 * answers.square().mean()]
            matrices = [p for p in network.parameters() if p.ndim > 1]
            if settings.l2:
                parts.append(settings.l2 / 2 * torch.stack([p.square().sum() for p in matrices]).sum())
            optimizer.zero_grad()
            torch.stack(parts).sum().backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
            optimizer.step()
            with torch.no_grad():
                if settings.max_norm:
                    for p in matrices:
                        p.copy_(torch.renorm(p, 2, 0, settings.max_norm))
                decay = min(settings.ema_decay, (1 + step) / (10 + step))
                for name, tensor in network.state_dict().items():
                    if tensor.is_floating_point():
                        average[name].lerp_(tensor, 1 - decay)
                    else:
                        average[name].copy_(tensor)
            step += 1
    return network.state_dict(), average


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema_decay": 0.0},
        {"optimizer": "sgd", "max_norm": 0.3, "l2": 0.01, "clip_norm": 0.5},
        {"precision": "bf16-mixed"},
    ],
)
@pytest.mark.parametrize("interrupt_at", [None, 6])
def test_descent_is_what_a_plain_loop_does_to_the_bit(
    tmp_path: Path, changes: dict[str, Any], interrupt_at: int | None
) -> None:
    if interrupt_at:
        with pytest.raises(Interrupted):
            trained(VectorTask(interrupt_at, **changes), tmp_path)
    run = trained(VectorTask(**changes), tmp_path, resume=interrupt_at is not None)
    raw, averaged = by_a_plain_loop(VectorTask(**changes).settings)
    wanted = raw if changes.get("ema_decay") == 0.0 else averaged
    for name, tensor in run.read_weights("last").items():
        assert torch.equal(tensor, wanted[name]), name
    tensors, _ = run.read_checkpoint()
    assert all(torch.equal(tensors[f"network.{name}"], tensor) for name, tensor in raw.items())


def test_a_task_learns_when_it_is(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(first := VectorTask(interrupt_at=6), tmp_path)
    trained(rest := VectorTask(), tmp_path, resume=True)
    total = EPOCHS * STEPS
    assert first.moments + rest.moments == [Moment(step, step // STEPS, total) for step in range(total)]


@pytest.mark.parametrize(("decay", "kind"), [(0.9, "averaged"), (0.0, "raw")])
def test_weights_say_of_what_kind_they_are(tmp_path: Path, decay: float, kind: str) -> None:
    run = trained(VectorTask(ema_decay=decay), tmp_path)
    kinds = {}
    for name in ("initial", "early-2", "best", "last"):
        with safe_open(run.weights_path(name), framework="pt") as file:
            kinds[name] = json.loads(file.metadata()["notes"])["kind"]
    assert kinds == {"initial": "raw", "early-2": "raw", "best": kind, "last": kind}


def toy_mask() -> dict[str, Tensor]:
    return {
        "0.weight": torch.arange(32).reshape(8, 4) % 3 > 0,
        "4.weight": torch.arange(16).reshape(2, 8) % 2 > 0,
    }


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "sgd", "max_norm": 0.3, "l2": 0.01}, {"ema_decay": 0.0}]
)
def test_masked_weights_stay_zero(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole, parts = VectorTask(**changes), VectorTask(interrupt_at=6, **changes)
    trained(whole, tmp_path / "whole", learner=GradientLearner(whole, fabric(), mask=toy_mask()))
    with pytest.raises(Interrupted):
        trained(parts, tmp_path / "parts", learner=GradientLearner(parts, fabric(), mask=toy_mask()))
    # The mask comes back from the checkpoint.
    run = trained(VectorTask(**changes), tmp_path / "parts", resume=True)
    tensors, _ = run.read_checkpoint()
    files = [run.read_weights(name) for name in ("initial", "early-2", "best", "last")]
    for prefix in ("network.", "average.") if "ema_decay" not in changes else ("network.",):
        files.append({name: tensors[f"{prefix}{name}"] for name in toy_mask()})
    for file in files:
        for name, kept in toy_mask().items():
            assert (file[name][~kept] == 0).all()
            assert (file[name][kept] != 0).all()
    for name, tensor in RunFolder(tmp_path / "whole").read_weights("last").items():
        assert torch.equal(tensor, run.read_weights("last")[name])
    unmasked = trained(VectorTask(**changes), tmp_path / "unmasked").read_weights("last")
    assert not torch.equal(unmasked["4.weight"], run.read_weights("last")["4.weight"])


def test_masked_gradients_do_not_count_when_gradients_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a clipped step by SGD has the length that clipping allows."""
    task = VectorTask(optimizer="sgd", momentum=0.0, clip_norm=1e-3, warmup_steps=0, learning_rate=1.0)

    def one_group(network: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(network.parameters()), "rate": 1.0, "weight_decay": 0.0}]

    monkeypatch.setattr(task, "parameter_groups", one_group)
    learner = GradientLearner(task, fabric(), mask=toy_mask())
    before = [parameter.detach().clone() for parameter in learner.network.parameters()]
    learner.step(task.collate(range(BATCH)), Moment(0, 0, 10))
    moved = [now.detach() - old for now, old in zip(learner.network.parameters(), before, strict=True)]
    assert float(torch.cat([one.flatten() for one in moved]).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_noise_repeats_and_differs_from_step_to_step_and_process_to_process() -> None:
    def drawn(*key: int) -> tuple[float, ...]:
        seed_noise(*key)
        return tuple(torch.rand(3).tolist())

    keys = [(seed, step, process) for seed in (0, 1) for step in (0, 1, 5) for process in (0, 1, 2)]
    assert len({drawn(*key) for key in keys}) == len(keys)
    assert drawn(3, 4, 0) == drawn(3, 4)


class TwoPlayers:
    """A generator and a critic, each with an optimiser of its own (Goodfellow et al. 2014)."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network: nn.Module = nn.ModuleDict({"generator": nn.Linear(2, 4), "critic": nn.Linear(4, 1)})
        self.optimizers = {
            name: torch.optim.Adam(player.parameters(), lr=0.01)
            for name, player in self.network.named_children()
        }

    def step(self, batch: Tensor, moment: Moment) -> dict[str, float]:
        generator, critic = (self.network.get_submodule(name) for name in ("generator", "critic"))
        made = generator(torch.randn(len(batch), 2))
        critic_loss = F.softplus(critic(made.detach())).mean() + F.softplus(-critic(batch)).mean()
        self._descend("critic", critic_loss)
        generator_loss = F.softplus(-critic(made)).mean()
        self._descend("generator", generator_loss)
        return {"critic": critic_loss.item(), "generator": generator_loss.item()}

    def _descend(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()

    def end_epoch(self) -> None:
        return None

    def raw(self) -> Weights:
        return Weights("raw", self.network.state_dict())

    deployed = raw

    def state(self) -> dict[str, Tensor]:
        states = {
            f"{name}.{number}.{key}": value
            for name, optimizer in self.optimizers.items()
            for number, kept in optimizer.state_dict()["state"].items()
            for key, value in kept.items()
        }
        return {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()} | states

    def restore(self, state: Mapping[str, Tensor]) -> None:
        own = self.network.state_dict()
        self.network.load_state_dict({name: state[f"network.{name}"] for name in own})
        for name, optimizer in self.optimizers.items():
            whole = optimizer.state_dict()
            whole["state"] = {
                number: {key: state[f"{name}.{number}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
                for number in whole["param_groups"][0]["params"]
            }
            optimizer.load_state_dict(whole)


class Boltzmann:
    """Contrastive divergence with a chain that is kept from step to step and a rate that is halved at the end
    of an epoch: no loss is differentiated, and there is no optimiser (Hinton 2002; Tieleman 2008)."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network: nn.Module = nn.Linear(4, 3)
        self.chain = torch.zeros(BATCH, 4)
        self.rate = torch.tensor(0.1)

    @torch.no_grad()
    def step(self, batch: Tensor, moment: Moment) -> dict[str, float]:
        seen = (batch > 0).float()
        weight = self.network.get_parameter("weight")
        hidden = torch.sigmoid(self.network(self.chain)).bernoulli()
        self.chain = torch.sigmoid(hidden @ weight).bernoulli()
        up = (
            torch.sigmoid(self.network(seen)).T @ seen
            - torch.sigmoid(self.network(self.chain)).T @ self.chain
        )
        weight.add_(self.rate * up / len(seen))
        seen_again = torch.sigmoid(torch.sigmoid(self.network(seen)) @ weight)
        return {"reconstruction": float((seen - seen_again).square().mean())}

    def end_epoch(self) -> None:
        self.rate = self.rate / 2

    def raw(self) -> Weights:
        return Weights("raw", self.network.state_dict())

    deployed = raw

    def state(self) -> dict[str, Tensor]:
        return {**self.network.state_dict(), "chain": self.chain, "rate": self.rate}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.network.load_state_dict({name: state[name] for name in ("weight", "bias")})
        self.chain, self.rate = state["chain"], state["rate"]


class Interrupting:
    """A learner that sends SIGINT in its step number `at`."""

    def __init__(self, learner: Any, at: int) -> None:
        self.learner, self.at = learner, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learner, name)

    def step(self, batch: Any, moment: Moment) -> Any:
        if moment.step + 1 == self.at:
            signal.raise_signal(signal.SIGINT)
        return self.learner.step(batch, moment)


@pytest.mark.parametrize("kind", [TwoPlayers, Boltzmann])
@pytest.mark.parametrize("at", [3, STEPS, STEPS + 1])
def test_other_ways_to_learn_fit_the_loop(tmp_path: Path, kind: Any, at: int) -> None:
    whole = trained(VectorTask(), tmp_path / "whole", learner=kind())
    with pytest.raises(Interrupted, match=f"step {at}"):
        trained(VectorTask(), tmp_path / "parts", learner=Interrupting(kind(), at))
    parts = trained(VectorTask(), tmp_path / "parts", resume=True, learner=kind())
    for name, tensor in whole.read_weights("last").items():
        assert torch.equal(tensor, parts.read_weights("last")[name])
        assert tensor.isfinite().all()
    assert (whole.path / "metrics.csv").read_bytes() == (parts.path / "metrics.csv").read_bytes()
    assert len(whole.read_metrics()) == EPOCHS
    first, last = whole.read_weights("initial"), whole.read_weights("last")
    assert any(not torch.equal(first[name], last[name]) for name in first)


def test_another_learners_checkpoint_is_refused(tmp_path: Path) -> None:
    trained(VectorTask(), tmp_path, learner=Boltzmann())
    with pytest.raises(TrainingError, match="does not fit"):
        trained(VectorTask(), tmp_path, resume=True, learner=TwoPlayers())
