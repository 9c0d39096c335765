"""Transfer: a network that starts from the weights of a trained run or of a public state dict."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tombola.errors import TrainingError
from tombola.train.download.weights import is_kept
from tombola.train.networks.backbones.public_names import public_units
from tombola.train.start.torchvision_names import own_names

# Under these keys public training scripts keep the weights of a checkpoint.
_NESTED = ("state_dict", "model", "model_state_dict", "state_dict_ema", "weights")


def weights_file(path: Path) -> Path:
    """`path` itself, or the best (else the last) weights of the run folder at `path`.

    Raises TrainingError if there is no such file or folder, or no weights in it.
    """
    if not path.exists():
        cure = "give a run folder or a file of weights"
        if is_kept(path.stem):
            cure = f'`tombola data get {path.stem}` brings them; then write start.weights = "{path.stem}"'
        raise TrainingError(f"start.weights: {path} does not exist; {cure}")
    if not path.is_dir():
        return path
    for name in ("best", "last"):
        file = path / f"{name}.safetensors"
        if file.exists():
            return file
    raise TrainingError(
        f"start.weights: {path} holds neither best.safetensors nor last.safetensors; give a run folder"
    )


def load_start(
    network: nn.Module, file: Path, *, fresh: tuple[str, ...] = (), of_more: bool = False, part: str = ""
) -> None:
    """Copy weights into a network.

    file: a .safetensors file, or a .pth or .pt file, which is read without running any code in it. Names are
    ours, torchvision's for ResNet, DenseNet and MobileNetV2, or lukemelas' for EfficientNet-Lite, behind any
    prefix that all have in common. fresh: prefixes of names that are not taken over. Every other tensor must
    fit. A file that holds more than the network is refused, for it is of another one, unless it is `of_more`:
    of a network whose body this one is. part: of the file's network alone it is taken, such as "encoder".
    Raises TrainingError that names the file, the tensor and its shapes.
    """
    tensors = read_tensors(file)
    if part:
        tensors = {name: tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}
    source = _without_prefix(tensors, {name for name, _ in network.named_children()})
    names = own_names(source, network)
    given = {names[name]: tensor for name, tensor in source.items()}
    copy_weights(network, given, file, fresh=fresh, of_more=of_more)


def copy_weights(
    network: nn.Module,
    given: dict[str, Tensor],
    file: Path,
    *,
    fresh: tuple[str, ...] = (),
    of_more: bool = False,
) -> None:
    """The same with tensors that are read already, under the network's own names; `file` is told of."""
    own = network.state_dict()
    wanted = [name for name in own if not name.startswith(fresh) and not name.endswith("num_batches_tracked")]
    for name in wanted:
        if name not in given or given[name].shape != own[name].shape:
            wants, found = list(own[name].shape), list(given[name].shape) if name in given else []
            cure = "make network and picture those of the weights"
            if len(found) == len(wants) and all(has <= want for has, want in zip(found, wants, strict=True)):
                cure += "; of one whose channels were cut, begin with the network that it was cut from"
            raise TrainingError(
                f"start.weights: {file} has {found or 'nothing'} for {name}, the network wants {wants}; "
                f"{cure}"
            )
        if not torch.isfinite(given[name]).all():
            raise TrainingError(
                f"start.weights: {file} has NaN or infinite numbers in {name}; take other weights"
            )
    extra = [name for name in given if name not in own and not name.endswith("num_batches_tracked")]
    if extra and not of_more:
        raise TrainingError(
            f"start.weights: {file} has {len(extra)} tensors that the network has not, {extra[0]} the first; "
            "make network that of the weights"
        )
    with torch.no_grad():
        for name in wanted:
            own[name].copy_(given[name])


def _without_prefix(tensors: dict[str, Tensor], layers: set[str]) -> dict[str, Tensor]:
    """The tensors without what wrappers left before every name ("module.", "model.", "_orig_mod.", …);
    `layers` are the network's own parts, which are no wrappers."""
    while True:
        prefixes = {name.partition(".")[0] for name in tensors if "." in name}
        if (
            public_units(tensors)
            or len(prefixes) != 1
            or prefixes <= layers
            or not all("." in name for name in tensors)
        ):
            return tensors
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors, .pth or .pt file; no code in it is run. Raises TrainingError."""
    try:
        content: Any = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError:
        raise TrainingError(
            f"start.weights: {file} is damaged, or holds more than tensors and is not read for safety; save "
            "the state_dict alone"
        ) from None
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"start.weights: {file} cannot be read ({reason}); give a .safetensors or .pth file of tensors"
        ) from None
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) and value.layout == torch.strided and not value.is_complex()
        for value in content.values()
    ):
        raise TrainingError(
            f"start.weights: {file} is not a dictionary of named tensors, all dense and real; save a "
            "network's state_dict()"
        )
    return {str(name): tensor for name, tensor in content.items()}
