"""Channels whose loss the next layer can make good: what reads them is fitted anew to what is left.

On a few pictures the Gram matrix of a layer's inputs tells how well those that stay replace one that goes
(Hassibi & Stork 1993, the optimal brain surgeon, a group of inputs at a time).
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Member
from tombola.train.networks.layers.transposed import Transposed
from tombola.train.prune.dead import add_constant, has_place, hook_readers, layer_of
from tombola.train.prune.shrink import Kept, entries_of, free_axes, is_reader
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.task import Task

PICTURES = 64
# Of the mean of the Gram matrix's diagonal, added to it: few pictures do not span all inputs.
_RIDGE = 1e-4

# Name of a layer -> float64 [d + 1, d + 1], the mean of x·xᵀ over all that it reads, x ending in a 1.
Grams = dict[str, Tensor]


def measure(network: nn.Module, task: Task, batches: Iterable[object]) -> Grams:
    """The Gram matrices of all layers that read an axis, over the training pictures of `batches`.

    Raises RecipeError for a network with transposed convolutions, which are not fitted.
    """
    if any(isinstance(module, Transposed) for module in network.modules()):
        raise RecipeError("least_squares does not fit transposed convolutions; choose l1, taylor or bn_scale")
    grams: Grams = {}
    counts: dict[str, int] = {}

    def look(layer: str, given: Tensor) -> None:
        module, around = network.get_submodule(layer), network.get_submodule(layer.rpartition(".")[0])
        if isinstance(module, nn.Conv2d):
            if module.groups > 1:
                return
            uneven = getattr(around, "uneven", None)
            given = F.pad(given, uneven) if uneven else given
            assert not isinstance(module.padding, str)
            patches = F.unfold(given, module.kernel_size, padding=module.padding, stride=module.stride)
            given = patches.transpose(1, 2).flatten(0, 1)
        rows = F.pad(given.flatten(0, -2).double(), (0, 1), value=1.0)
        grams[layer] = grams.get(layer, 0) + rows.T @ rows
        counts[layer] = counts.get(layer, 0) + len(rows)

    network.eval()
    with torch.no_grad(), hook_readers(network, look):
        for batch in batches:
            task.losses(network, batch, Moment(0, 0, 1))
    return {layer: _with_ridge(gram / counts[layer]) for layer, gram in grams.items()}


def _with_ridge(gram: Tensor) -> Tensor:
    return gram + _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)


def least_squares_scores(network: nn.Module, grams: Grams) -> dict[str, Tensor]:
    """For each axis what is lost once a channel has gone, if they go one by one, each time the one whose loss
    costs least: float32 [width], the last to go the greatest.

    Lost is the squared error in what the axis's readers answer, all fitted anew to what is left, in shares of
    the variance of their answers, summed over the readers; so axes can be compared.
    """
    scores = {}
    for axis, places in free_axes(network).items():
        readers = [_Reader(network, member, axis.width, grams) for member in places if is_reader(member)]
        lost, so_far = torch.zeros(axis.width), 0.0
        alive = torch.ones(axis.width, dtype=torch.bool)
        for _ in range(axis.width):
            errors = torch.stack([reader.errors(alive) for reader in readers]).sum(0)
            gone = int(errors.masked_fill(~alive, torch.inf).argmin())
            so_far += float(errors[gone])
            alive[gone], lost[gone] = False, so_far
            for reader in readers:
                reader.lose(gone)
        scores[axis.name] = lost
    return scores


class _Reader:
    """What one layer reads of one axis: its weights and the inverse of its Gram matrix, as channels go, and
    what it answered with all of them: the variance, the mean square where it has no place for a mean."""

    def __init__(self, network: nn.Module, member: Member, width: int, grams: Grams) -> None:
        weight = network.get_parameter(member.tensor).detach().double()
        cells = weight[0, 0].numel()
        self.inputs = input_places(member, list(range(width)), cells).view(width, -1)
        gram = grams[layer_of(member)]
        means = gram[:-1, -1]
        if not has_place(network, layer_of(member), padded=True):
            gram, means = gram[:-1, :-1], torch.zeros_like(means)
        self.weight = F.pad(weight.flatten(1), (0, len(gram) - weight[0].numel()))
        self.inverse = torch.linalg.inv(gram)
        answered = weight.flatten(1) @ means
        self.power = float((self.weight @ gram * self.weight).sum() - answered.square().sum()) or 1.0

    def errors(self, alive: Tensor) -> Tensor:
        """float64 [width]: the squared error that the loss of each channel adds, in shares of the
        variance; 0 for those lost."""
        errors = torch.zeros(len(alive), dtype=torch.float64)
        places = self.inputs[alive]
        blocks = self.inverse[places[:, :, None], places[:, None, :]]
        weights = self.weight[:, places].movedim(0, 2)
        errors[alive] = (weights * torch.linalg.solve(blocks, weights)).sum((1, 2)) / self.power
        return errors

    def lose(self, channel: int) -> None:
        """Fit what is left to do without the channel."""
        places = self.inputs[channel]
        step = torch.linalg.solve(self.inverse[places][:, places], self.inverse[places])
        # In place: matrices of thousands of inputs, once a channel.
        self.weight.addmm_(self.weight[:, places], step, alpha=-1)
        self.inverse.addmm_(self.inverse[:, places], step, alpha=-1)


def refit(network: nn.Module, kept: Kept, grams: Grams) -> nn.Module:
    """A copy whose layers answer as nearly as before as they can from the kept channels alone; what reads the
    others is 0."""
    fitted = copy.deepcopy(network)
    gone: dict[str, list[Tensor]] = {}
    for axis, places in free_axes(network).items():
        lost = sorted(set(range(axis.width)) - set(kept.get(axis.name, range(axis.width))))
        for member in (one for one in places if is_reader(one) and lost):
            cells = network.get_parameter(member.tensor)[0, 0].numel()
            gone.setdefault(layer_of(member), []).append(input_places(member, lost, cells))
    for layer, inputs in gone.items():
        weight = fitted.get_submodule(layer).get_parameter("weight")
        stays = torch.ones(weight[0].numel() + 1, dtype=torch.bool)
        stays[torch.cat(inputs)] = False
        stays[-1] = has_place(network, layer, padded=True)
        before = F.pad(weight.detach().double().flatten(1), (0, 1))
        gram = grams[layer]
        after = torch.zeros_like(before)
        after[:, stays] = torch.linalg.solve(gram[stays][:, stays], gram[stays] @ before.T).T
        with torch.no_grad():
            weight.copy_(after[:, :-1].view_as(weight))
            if stays[-1]:
                add_constant(fitted, layer, after[:, -1].to(weight))
    return fitted


def input_places(member: Member, channels: list[int], cells: int) -> Tensor:
    """int64 [n · cells]: where the channels' entries lie among a reader's unfolded inputs, whose kernel has
    `cells` cells."""
    return (entries_of(member, channels)[:, None] * cells + torch.arange(cells)).flatten()
