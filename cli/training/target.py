"""What a network may cost, as it is written on the command line."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tombola.export.cost import Quantity

# What is counted -> an example, and how much each written unit is. A % is of the network's own.
TARGETS: "dict[Quantity, tuple[str, dict[str, float]]]" = {
    "latency": ("5ms", {"ms": 1.0, "s": 1e3, "%": 1.0}),
    "size": ("1MB", {"KB": 1e-3, "MB": 1.0, "KiB": 2**10 / 1e6, "MiB": 2**20 / 1e6, "%": 1.0}),
    "macs": ("25%", {"M": 1.0, "G": 1e3, "%": 1.0}),
}


@dataclass(frozen=True)
class Target:
    """amount: at most as many ms, MB or millions of MACs, or in_percent of what the network costs now."""

    quantity: "Quantity"
    amount: float
    in_percent: bool


def read_target(**given: str | None) -> Target | None:
    """The one target given; None where there is none. BadParameter for two, or for no amount."""
    targets = {name: text.strip() for name, text in given.items() if text is not None}
    if len(targets) > 1:
        raise typer.BadParameter(f"{' and '.join(f'--target-{name}' for name in targets)} are two; give one")
    for name, (example, endings) in TARGETS.items():
        if (text := targets.get(name)) is None:
            continue
        for ending, factor in endings.items():
            found = re.fullmatch(rf"(\d+(?:\.\d*)?|\.\d+) ?{ending}", text, re.IGNORECASE)
            if found and float(found[1]) > 0:
                return Target(name, float(found[1]) * factor, in_percent=ending == "%")
        raise typer.BadParameter(
            f"--target-{name} {text!r} is no amount above 0 in {' or '.join(endings)}, such as {example}"
        )
    return None
