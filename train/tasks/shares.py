"""What several processes, each with a share of every batch, would not learn as one does."""

from torch import nn

from tombola.errors import RecipeError


def check_layers(network: nn.Module, *, batch_norm: str, dropout: str = "") -> None:
    """RecipeError for a batch norm that learns and, where a cure for it is given, for a dropout.

    batch_norm and dropout: what a user may set instead. Frozen layers are alike in every process.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight.requires_grad:
            raise RecipeError(
                f"the batch norm {name} would learn from each process's share of a batch alone; use one "
                f"process, or {batch_norm}"
            )
        if dropout and isinstance(module, nn.Dropout) and module.p > 0:
            raise RecipeError(
                f"the dropout {name} would drop other units in each process; use one, or {dropout}"
            )
