"""A Ray cluster, while something trains on it."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tombola.errors import TrainingError

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """The module `ray`, connected to the cluster of RAY_ADDRESS, or to one that is started here, until the
    end of the block. Raises TrainingError if Ray is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = import_ray("ray")
    ray.init(logging_level="error", log_to_driver=False, ignore_reinit_error=True)
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray(module: str) -> Any:
    """A module of Ray. Raises TrainingError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise TrainingError(
            "--ray needs ray[tune], which is not installed: pip install 'tombola[scale]'; or leave --ray out"
        ) from None
