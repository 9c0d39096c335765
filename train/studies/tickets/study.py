"""What a study of tickets trains: arms, each a way to begin, for some seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tombola.errors import RecipeError
from tombola.train import recipes
from tombola.train.prune.weights.settings import PruneSettings

# tickets       round 0 is the dense network, each later one is rewound to the first weights
# late          the same rounds, rewound to those of an early step
# reinit        the tickets' masks with other first weights
# foreign       the tickets' first weights with the masks that another seed found
# random        as sparse in each layer, at random places
# untrained     as sparse in each layer, where the first weights are largest
# dense_twins   the dense network, from an early step on, with the pictures in another order
# ticket_twins  a ticket, from its first weights on, with the pictures in another order
# late_twins    a late one, from its early step on, with the pictures in another order
Kind = Literal[
    "tickets", "late", "reinit", "foreign", "random", "untrained", "dense_twins", "ticket_twins", "late_twins"
]
TWINS: tuple[Kind, ...] = ("dense_twins", "ticket_twins", "late_twins")


@dataclass(frozen=True)
class Arm:
    """One way to begin, of one network, for the seeds 0 … seeds - 1. numbers: of rounds, or for dense_twins
    of the steps they begin from."""

    network: str
    kind: Kind
    seeds: int
    numbers: tuple[int, ...]

    @property
    def name(self) -> str:
        """The path of its folder inside that of the study."""
        return f"{self.network}/{self.kind}"


@dataclass(frozen=True)
class Study:
    """recipe     name of a classifier's recipe that comes along
    networks   name of a network -> changes to the recipe; the first is the one that is held to controls
    pruning    how tickets are found
    arms       what is trained, in this order where nothing must wait
    late_step  what late tickets are rewound to; one of the recipe's early_steps
    """

    recipe: str
    networks: Mapping[str, tuple[str, ...]]
    pruning: PruneSettings
    arms: tuple[Arm, ...]
    late_step: int | None = None

    @property
    def recipe_path(self) -> Path:
        return Path(recipes.__path__[0]) / f"{self.recipe}.toml"

    @property
    def main(self) -> str:
        """The network that is held to controls."""
        return next(iter(self.networks))

    def tickets_of(self, arm: Arm) -> Arm:
        """The arm whose dense network and masks this one begins from; it is its own if it finds them."""
        return self._other(arm, "tickets")

    def late_of(self, arm: Arm) -> Arm:
        """The arm of late tickets of the same network."""
        return self._other(arm, "late")

    def before(self, arm: Arm) -> tuple[Arm, ...]:
        """The arms that must be done before this one begins."""
        match arm.kind:
            case "tickets":
                return ()
            case "late_twins":
                return self.tickets_of(arm), self.late_of(arm)
            case _:
                return (self.tickets_of(arm),)

    def _other(self, arm: Arm, kind: Kind) -> Arm:
        return next(one for one in self.arms if (one.network, one.kind) == (arm.network, kind))

    def with_changes(self, changes: Sequence[str]) -> "Study":
        """The same with changes to the recipe ("training.epochs=2"), for every network."""
        return replace(self, networks={name: (*its, *changes) for name, its in self.networks.items()})

    def with_seeds(self, seeds: int) -> "Study":
        """The same with at most so many seeds in each arm. RecipeError for fewer than two: a mask is held to
        that of another seed."""
        if seeds < 2:
            raise RecipeError(f"{seeds} seed has no spread and no other to be held to; take 2 or more")
        return replace(self, arms=tuple(replace(arm, seeds=min(arm.seeds, seeds)) for arm in self.arms))


# 20 % of each layer a round and half of it from the last: 3.6 % of the 266,200 weights after 15 rounds.
_ROUNDS = 15
_ALL = tuple(range(_ROUNDS + 1))
LENET = Study(
    recipe="mnist-lenet",
    networks={
        "300-100": (),
        "150-50": ("network.widths=[150, 50]",),
        "75-25": ("network.widths=[75, 25]",),
    },
    pruning=PruneSettings(
        sparsity=1 - 0.8**_ROUNDS, rounds=_ROUNDS, rewind="theta0", scope="layer", half_rate=("head",)
    ),
    arms=(
        Arm("300-100", "tickets", 5, _ALL),
        Arm("300-100", "reinit", 5, (7, 11, 15)),
        Arm("300-100", "ticket_twins", 5, (7, 15)),
        Arm("300-100", "foreign", 5, (7, 15)),
        Arm("300-100", "dense_twins", 5, (0, 100, 500)),
        Arm("300-100", "random", 5, (7, 15)),
        Arm("300-100", "untrained", 5, (7, 15)),
        Arm("75-25", "tickets", 3, _ALL),
        Arm("150-50", "tickets", 3, _ALL),
    ),
)

# 40 % of all weights a round: 8 % of the 270,384 are left after five.
_LATE_STEP = 400
LATE = Study(
    recipe="fashion-mnist",
    networks={
        "resnet20": (
            'network={kind="resnet20"}',
            "loss.label_smoothing=0.0",
            "training.epochs=6",
            "training.warmup_steps=0",
            "training.weight_decay=1e-4",
            "training.ema_decay=0.0",
            f"training.early_steps=[100, {_LATE_STEP}]",
        )
    },
    pruning=PruneSettings(sparsity=0.92, rounds=5, rewind="theta0", scope="global"),
    arms=(
        Arm("resnet20", "tickets", 3, tuple(range(6))),
        Arm("resnet20", "late", 3, (1, 2, 3, 4, 5)),
        Arm("resnet20", "dense_twins", 3, (0, 100, _LATE_STEP)),
        Arm("resnet20", "ticket_twins", 3, (5,)),
        Arm("resnet20", "late_twins", 3, (5,)),
    ),
    late_step=_LATE_STEP,
)
