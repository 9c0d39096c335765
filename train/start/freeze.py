"""Freezing: the first layers of a network keep their weights and statistics while the rest learns."""

from torch import nn

from tombola.errors import RecipeError
from tombola.train.networks.backbones.backbone import Backbone


def layer_names(network: nn.Module) -> tuple[str, ...]:
    """The parts of a network that have weights, in the order of its forward pass: "backbone.stages.0", ...

    A sequence of parts is named part by part, and so is a part with a backbone in it.
    """
    names: list[str] = []
    for name, child in network.named_children():
        if isinstance(child, Backbone):
            inner = [f"stages.{index}" for index, stage in enumerate(child.stages) if _has_weights(stage)]
        elif isinstance(child, nn.Sequential):
            inner = [key for key, part in child.named_children() if _has_weights(part)]
        elif any(isinstance(part, Backbone) for part in child.children()):
            inner = list(layer_names(child))
        else:
            inner = []
        if inner:
            names += [f"{name}.{key}" for key in inner]
        elif _has_weights(child):
            names.append(name)
    return tuple(names)


def _has_weights(part: nn.Module) -> bool:
    return any(True for _ in part.parameters())


def freeze_up_to(network: nn.Module, layer: str) -> tuple[str, ...]:
    """No gradients for any weight up to the last one of `layer`, a path such as "blocks.0.2".

    The networks here register their layers in the order in which they use them, which is what "up to" means.
    Returns the names of the frozen parameters. Raises RecipeError that lists the layers if there is none of
    that name, if it has no weights, or if nothing would be left to train.
    """
    listed = ", ".join(layer_names(network))
    modules = dict(network.named_modules())
    inside = list(modules[layer].parameters()) if layer in modules else []
    if not layer or not inside:
        raise RecipeError(f"start.freeze = {layer!r} is not a layer with weights; the layers are {listed}")
    parameters = list(network.named_parameters())
    last = max(index for index, (_, parameter) in enumerate(parameters) if parameter is inside[-1])
    if last == len(parameters) - 1:
        raise RecipeError(f"start.freeze = {layer!r} leaves nothing to train; take one before: {listed}")
    for _, parameter in parameters[: last + 1]:
        parameter.requires_grad_(False)
    return tuple(name for name, _ in parameters[: last + 1])


def rest_frozen(network: nn.Module) -> None:
    """Put each part whose weights are all frozen into eval mode: its batch norms keep their statistics and
    its dropout is off. To be called after `network.train()`; a wrapper around the network does not matter.
    """
    if all(parameter.requires_grad for parameter in network.parameters()):
        return
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
