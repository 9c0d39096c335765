"""Which tensors of a network may lose weights."""

import difflib
import fnmatch
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from tombola.errors import RecipeError


def prunable(network: nn.Module, *, leave_out: Sequence[str] = (), biases: bool = False) -> dict[str, Tensor]:
    """Name -> tensor of the trainable kernels and matrices of `network`, in its order.

    leave_out: names of layers or patterns ("stem*", "classes", "neck.lateral.0"); a layer's name stands for
    all of its tensors. biases: they too. Norms are never pruned, nor are parts that only teach the others.
    RecipeError for a pattern that matches nothing, naming near ones.
    """
    layers = {
        f"{name}.{parameter_name}" if name else parameter_name: parameter
        for name, module in network.named_modules()
        if not isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.LayerNorm)
        for parameter_name, parameter in module.named_parameters(recurse=False)
        if parameter.requires_grad and (parameter.ndim > 1 or biases)
    }
    layers = {name: layer for name, layer in layers.items() if name in answering(network)}
    for pattern in leave_out:
        check_named(pattern, layers, {name.rpartition(".")[0] for name in layers}, "layer")
        layers = {name: layer for name, layer in layers.items() if not is_named(name, pattern)}
    if not layers:
        raise RecipeError("nothing is left to prune; leave out fewer layers")
    return dict(layers)


def answering(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that answers come from: all but those of parts that only teach the others, as the critic
    of a GAN does; those are in no file, and rewound with the rest they keep all of their weights."""
    parts = tuple(f"{part}." for part in getattr(network, "only_teaches", ()))
    return {name: one for name, one in network.named_parameters() if not name.startswith(parts)}


def check_named(pattern: str, names: Iterable[str], known: Iterable[str], kind: str) -> None:
    """RecipeError if the pattern means none of the names, telling which of the known are near it."""
    if not any(is_named(name, pattern) for name in names):
        known = sorted(known)
        near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.3) or known[:3]
        raise RecipeError(f"no {kind} is called {pattern!r}; near it are {', '.join(near)}")


def is_named(name: str, pattern: str) -> bool:
    """Whether a pattern means this name: all of it, or the layer before its last dot."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")
