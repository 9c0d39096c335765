"""Channels that a mask has killed: nobody reads them, or what they hand on is always the same."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tombola.train.networks.axis import Axis, Member, Vanished
from tombola.train.networks.classify.highway import HighwayLayer
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.generate.autoencoder import Autoencoder
from tombola.train.networks.generate.gan import Gan
from tombola.train.networks.generate.vae import Vae
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.networks.layers.dense_layer import LinearBatchNorm
from tombola.train.networks.layers.norm import LayerNorm, MapNorm, VectorNorm
from tombola.train.networks.layers.transposed import Transposed, TransposedBatchNorm
from tombola.train.prune.shrink import Kept, entries_of, free_axes, is_reader, vanishing

# What an entry may change by, of 1 + its size, and still be called the same: sums of float64.
_SAME = 1e-9


def bury_dead(network: nn.Module, pictures: Tensor) -> tuple[nn.Module, Kept]:
    """A copy that answers the same and does without its dead channels, and for each axis the others.

    pictures: float32 [B, channels, H, W] of a size that the network takes and two cells or more at its
    coarsest; what is on them does not matter. A channel is dead if all weights that read it are 0, or if no
    path of living weights leads to where it is read and it is the same in all cells: then the constant goes
    into the bias, or the norm's mean, of each reader. A constant that a padded kernel reads is another at the
    border, and one whose reader has neither bias nor norm has no place to go: such channels stay. An axis
    keeps one channel at least, unless it lies inside of a residual block that adds nothing any more.
    """
    quiet = copy.deepcopy(network).double().eval()
    alive: dict[str, list[int]] = {}
    before: dict[str, list[int]] | None = None
    while alive != before:
        before = alive
        fold_constants(quiet, pictures.double())
        alive = _silence_unread(quiet)
    gone = _silence_blocks(quiet, alive)
    kept = {name: channels or ([] if name in gone else [0]) for name, channels in alive.items()}
    return quiet.float().train(network.training), kept


def _silence_blocks(network: nn.Module, alive: Kept) -> set[str]:
    """Have each residual block add nothing that has no living channel inside, where that is possible; names
    of the axes inside of those.

    What such a block adds, the same in all cells, goes into what the block before it adds. Through the ReLU
    between the two it fits where it is nowhere above 0.
    """
    gone = set[str]()
    # Backwards, for the block before may go, too.
    for path, block, inside in reversed(vanishing(network)):
        if all(alive[axis.name] for axis in inside):
            continue
        last, before = _last_layer(block), _block_before(network, path)
        with torch.no_grad():
            shift = last.folded()[1]
            if shift.any():
                if before is None or (hasattr(block, "activation") and (shift > 0).any()):
                    continue
                _last_layer(before).norm.bias.add_(shift)
                last.norm.bias.zero_()
                last.norm.reset_running_stats()
        gone |= {axis.name for axis in inside}
    return gone


def _last_layer(block: nn.Module) -> ConvBatchNorm:
    """The one behind which nothing but the sum and its activation is."""
    return [module for module in block.modules() if isinstance(module, ConvBatchNorm)][-1]


def _block_before(network: nn.Module, path: str) -> nn.Module | None:
    """The next before it, in its own row of blocks, that has not vanished."""
    row, _, place = path.rpartition(".")
    before = [network.get_submodule(f"{row}.{number}") for number in range(int(place))]
    return next((block for block in reversed(before) if not isinstance(block, Vanished)), None)


def _silence_unread(network: nn.Module) -> dict[str, list[int]]:
    """For each axis the channels that somebody reads; what writes the others becomes 0."""
    tensors = dict(network.named_parameters())
    read: dict[str, list[int]] = {}
    with torch.no_grad():
        # Backwards, for what is written to a silenced channel may be all that somebody was read for.
        for axis, places in reversed(free_axes(network).items()):
            used = torch.zeros(axis.width, dtype=torch.bool)
            for member in (one for one in places if is_reader(one)):
                used |= _by_channel(tensors[member.tensor] != 0, member, axis).flatten(1).any(1)
            read[axis.name] = used.nonzero()[:, 0].tolist()
            unread = (~used).nonzero()[:, 0].tolist()
            for member in places:
                if member.tensor in tensors:
                    tensors[member.tensor].index_fill_(member.dim, entries_of(member, unread), 0.0)
    return read


def _by_channel(tensor: Tensor, member: Member, axis: Axis) -> Tensor:
    """The member's stretch of `tensor` -> [width, …]."""
    stretch = tensor.narrow(member.dim, member.start, axis.width * member.block)
    by_channel: Tensor = stretch.movedim(member.dim, 0).unflatten(0, (axis.width, member.block))
    return by_channel


def fold_constants(network: nn.Module, pictures: Tensor) -> None:
    """Move each channel that is constant wherever it is read into its readers' biases; read it no more."""
    constants = _constant_inputs(network, pictures)
    with torch.no_grad():
        for axis, places in free_axes(network).items():
            readers = [member for member in places if is_reader(member)]
            foldable = torch.ones(axis.width, dtype=torch.bool)
            for member in readers:
                foldable &= _foldable(network, member, axis, constants[layer_of(member)])
            gone = foldable.nonzero()[:, 0].tolist()
            for member in readers:
                _fold(network, member, entries_of(member, gone), constants[layer_of(member)])


def layer_of(member: Member) -> str:
    """The layer that a member's tensor is of."""
    return member.tensor.rpartition(".")[0]


def _foldable(network: nn.Module, member: Member, axis: Axis, constant: Tensor) -> Tensor:
    """bool [width]: which channels this reader can do without. constant: [entries], NaN where it is none."""
    values = constant.narrow(0, member.start, axis.width * member.block).unflatten(0, (axis.width, -1))
    exact = ~values.isnan()
    if not has_place(network, layer_of(member)):
        exact &= values == 0
    read = _by_channel(network.get_parameter(member.tensor) != 0, member, axis).flatten(1).any(1)
    foldable: Tensor = exact.all(1) | ~read
    return foldable


def has_place(network: nn.Module, layer: str, *, padded: bool = False) -> bool:
    """Whether the layer's bias, or the norm behind it, can take a constant that it reads exactly; `padded`:
    or one that it writes."""
    module, around = network.get_submodule(layer), network.get_submodule(layer.rpartition(".")[0])
    if isinstance(module, Transposed):
        return padded and isinstance(around, TransposedBatchNorm)  # fewer cells reach its border
    if isinstance(module, nn.Conv2d) and not padded:
        uneven = isinstance(around, ConvBatchNorm) and around.uneven is not None
        if uneven or any(side != 0 for side in module.padding):
            return False
    return module.bias is not None or isinstance(around, ConvBatchNorm | LinearBatchNorm)


def add_constant(network: nn.Module, layer: str, shift: Tensor) -> None:
    """Add shift [outputs] to what the layer answers, in its bias or the norm behind it."""
    module, around = network.get_submodule(layer), network.get_submodule(layer.rpartition(".")[0])
    if isinstance(bias := getattr(module, "bias", None), Tensor):
        bias += shift
    elif isinstance(around, ConvBatchNorm | LinearBatchNorm | TransposedBatchNorm):
        assert around.norm.running_mean is not None
        around.norm.running_mean -= shift
    else:
        assert not shift.any(), layer


def _fold(network: nn.Module, member: Member, entries: Tensor, constant: Tensor) -> None:
    weight = network.get_parameter(member.tensor)
    read = weight.index_select(1, entries).flatten(2).sum(2) if weight.ndim > 2 else weight[:, entries]
    # What is unread may be anything, NaN too.
    value = torch.where((read != 0).any(0), constant[entries], 0.0)
    add_constant(network, layer_of(member), read @ value)
    weight.index_fill_(1, entries, 0.0)


def _constant_inputs(network: nn.Module, pictures: Tensor) -> dict[str, Tensor]:
    """Name of each layer that reads -> [entries] what each of its inputs always is, NaN if it varies.

    What a layer norm hands on hangs on all that it reads: behind one nothing is followed, and all varies.
    """
    low, high = _input_ranges(network, pictures)
    if any(isinstance(module, LayerNorm) for module in network.modules()):
        return {layer: torch.full_like(one, torch.nan) for layer, one in low.items()}
    _, reached = _input_ranges(_traces(network), torch.ones_like(pictures), as_signs=True)
    return {
        layer: torch.where(
            (high[layer] - one <= _SAME * (1 + one.abs())) & (reached[layer] == 0), one, torch.nan
        )
        for layer, one in low.items()
    }


def _traces(network: nn.Module) -> nn.Module:
    """A copy in which an entry is above 0 if a path of living weights leads to it from a picture of ones, and
    0 if none does: living weights are positive, all else is 0, and each activation is 0 at 0 alone."""
    traces = copy.deepcopy(network)
    with torch.no_grad():
        for module in traces.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim > 1 or (isinstance(module, MapNorm | VectorNorm) and name == "weight"):
                    # A mean rather than a sum, for a sigmoid of much is a plain 1.
                    parameter.copy_((parameter != 0) / parameter[0].numel())
                else:
                    parameter.zero_()
            if isinstance(module, MapNorm | VectorNorm):
                module.reset_running_stats()
        for module in traces.modules():
            if isinstance(module, HighwayLayer):  # what opens the gate comes through it
                module.plain.weight[: len(module.gate.weight)] += module.gate.weight
    for path, module in list(traces.named_modules()):
        if isinstance(module, nn.Sigmoid):
            traces.set_submodule(path, nn.Identity())
    return traces


def _input_ranges(
    network: nn.Module, pictures: Tensor, *, as_signs: bool = False
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The least and the greatest that each layer reads, over pictures, calls and cells: [entries] a layer.

    as_signs: a layer gets a 1 for all that is above 0, so that nothing grows or vanishes on its way.
    """
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}

    def look(layer: str, given: Tensor) -> Tensor | None:
        seen = given.movedim(1 if given.ndim == 4 else -1, 0).flatten(1)  # of maps, or of rows
        for kept, one, pick in ((low, seen.amin(1), torch.minimum), (high, seen.amax(1), torch.maximum)):
            kept[layer] = pick(kept[layer], one) if layer in kept else one
        return (given > 0).to(given) if as_signs else None

    with torch.no_grad(), hook_readers(network, look):
        answer_all(network, pictures)
    return low, high


@contextmanager
def hook_readers(network: nn.Module, look: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Within, `look` gets the name of each convolution, transposed or not, and linear layer of a network in
    eval mode and what it reads, before it does; a tensor that it returns is read instead."""

    def hook(layer: str) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...] | None]:
        def before(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            other = look(layer, given[0])
            return None if other is None else (other,)

        return before

    hooks = []
    for name, module in network.named_modules():
        # In eval mode these compute with their layers' weights and do not call the layers.
        inner = {ConvBatchNorm: "conv", LinearBatchNorm: "linear", TransposedBatchNorm: "conv"}.get(
            type(module)
        )
        if inner is not None:
            hooks.append(module.register_forward_pre_hook(hook(f"{name}.{inner}")))
        elif isinstance(module, nn.Conv2d | nn.Linear | Transposed):
            hooks.append(module.register_forward_pre_hook(hook(name)))
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def answer_all(network: nn.Module, pictures: Tensor) -> Tensor:
    """Run every layer on pictures [B, channels, H, W]; all answers in one row. A detector judges boxes of
    fixed places in each picture, a generator makes pictures of latents beside."""
    if isinstance(network, Vae | Gan | Autoencoder):
        return _encode_and_make(network, pictures)
    if not isinstance(network, FasterRCNN):
        answer: Tensor = network(pictures)
        return answer.flatten()
    height, width = pictures.shape[2:]
    shares = pictures.new_tensor([[0, 0, 1, 1], [0.1, 0.2, 0.4, 0.5], [0.5, 0.4, 0.9, 1.0]])
    boxes_xyxy = (shares * shares.new_tensor([width, height, width, height])).repeat(len(pictures), 1)
    picture_index = torch.arange(len(pictures)).repeat_interleave(len(shares))
    maps = network.neck(network.backbone(pictures))
    proposed = () if network.proposals is None else network.proposals(maps)[:2]
    judged = network.roi_head(maps, boxes_xyxy, picture_index)[1:]
    return torch.cat([one.flatten() for one in (*proposed, *judged)])


def _encode_and_make(network: Vae | Gan | Autoencoder, pictures: Tensor) -> Tensor:
    """The pictures' numbers are latents, too; there is a row for each class at least."""
    count = max(len(pictures), network.n_labels)
    labels = torch.arange(count) % network.n_labels if network.n_labels else None
    numbers = pictures.flatten()[torch.arange(count * network.latent_size) % pictures.numel()]
    latents, seen = numbers.view(count, -1), pictures[torch.arange(count) % len(pictures)]
    if isinstance(network, Autoencoder):
        answers = [network.code(seen), network.levels(latents)]
    elif isinstance(network, Vae):
        answers = [*network.posterior(seen, labels), network.decode(latents, labels)]
    else:
        answers = [network.decode(latents, labels)]
    return torch.cat([one.flatten() for one in answers])
