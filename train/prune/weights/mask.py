"""A mask: which weights of a network live, m in {0, 1} for each (Frankle & Carbin 2019, section 1)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tombola.errors import TrainingError
from tombola.runtime.pictures.output import save_bytes

# Its name in a run folder.
MASK = "mask.safetensors"


class Mask(Mapping[str, Tensor]):
    """Tensor name -> bool of the tensor's shape, True where a weight lives. It does not change once made.

    A mask that exists is valid: names are not empty, tensors are bool and not empty.
    """

    def __init__(self, living: Mapping[str, Tensor]) -> None:
        for name, tensor in living.items():
            if tensor.dtype != torch.bool or tensor.numel() == 0:
                raise TrainingError(
                    f"the mask of {name!r} must be bool and not empty, but is {tensor.dtype} of shape "
                    f"{list(tensor.shape)}"
                )
        self._living = dict(living)

    @classmethod
    def full(cls, weights: Mapping[str, Tensor]) -> "Mask":
        """The mask under which all of `weights` live."""
        return cls({name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._living[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._living)

    def __len__(self) -> int:
        return len(self._living)

    @property
    def living(self) -> int:
        """How many weights live."""
        return sum(int(tensor.sum()) for tensor in self._living.values())

    @property
    def total(self) -> int:
        """How many weights the mask speaks of, dead ones too."""
        return sum(tensor.numel() for tensor in self._living.values())

    @property
    def sparsity(self) -> float:
        """Share of dead weights, 0 … 1."""
        return 1 - self.living / self.total

    def sparsities(self) -> dict[str, float]:
        """Share of dead weights of each tensor, 0 … 1."""
        return {name: 1 - float(tensor.float().mean()) for name, tensor in self._living.items()}

    def check_fits(self, weights: Mapping[str, Tensor], whose: str) -> None:
        """TrainingError, naming the tensor, unless `weights` have each of the mask's tensors in its shape."""
        for name, tensor in self._living.items():
            if name not in weights:
                raise TrainingError(
                    f"the mask speaks of {name}, which {whose} has not: it is of another network"
                )
            if weights[name].shape != tensor.shape:
                raise TrainingError(
                    f"the mask of {name} has shape {list(tensor.shape)}, in {whose} it is "
                    f"{list(weights[name].shape)}: it is another network's"
                )

    def applied(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """m ⊙ θ: a copy of `weights` with dead ones at 0; tensors that the mask does not know are kept."""
        self.check_fits(weights, "the network")
        masked = {name: tensor.clone() for name, tensor in weights.items()}
        for name, living in self._living.items():
            masked[name][~living] = 0
        return masked

    def overlap(self, other: "Mask") -> float:
        """Jaccard index of the living weights: both alive / either alive, 0 … 1.

        TrainingError unless both speak of the same tensors.
        """
        if self.keys() != other.keys():
            raise TrainingError("two masks of different networks cannot be compared")
        both = sum(int((self[name] & other[name]).sum()) for name in self)
        either = sum(int((self[name] | other[name]).sum()) for name in self)
        return both / either if either else 1.0

    def overlap_by_chance(self, other: "Mask") -> float:
        """The `overlap` to be expected of masks drawn at random with both masks' shares in each tensor."""
        both = sum(float(self[n].float().mean() * other[n].float().mean()) * self[n].numel() for n in self)
        either = self.living + other.living - both
        return both / either if either else 1.0

    def write(self, path: Path) -> None:
        """Write to a .safetensors file, a byte a weight."""
        tensors = {name: tensor.to(torch.uint8).contiguous() for name, tensor in sorted(self._living.items())}
        save_bytes(safetensors.torch.save(tensors, {"kind": "mask"}), path)

    @classmethod
    def read(cls, path: Path) -> "Mask":
        """Read what `write` wrote. TrainingError if the file is missing, damaged or no mask."""
        try:
            tensors = safetensors.torch.load_file(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise TrainingError(f"the mask {path} cannot be read: {error}") from None
        for name, tensor in tensors.items():
            if tensor.dtype != torch.uint8 or int(tensor.max() if tensor.numel() else 2) > 1:
                raise TrainingError(f"{path} is no mask: {name} holds other values than 0 and 1")
        return cls({name: tensor.bool() for name, tensor in tensors.items()})
