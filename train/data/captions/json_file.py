"""A file of JSON, whoever wrote it."""

import json
from pathlib import Path
from typing import Any

from tombola.errors import DataError
from tombola.train.recipe.text_file import read_text

MOST_BYTES = 4_000_000_000


def read_json(path: Path) -> Any:
    """What the file says. DataError if it is missing, cannot be read or is no JSON."""
    try:
        return json.loads(read_text(path, MOST_BYTES))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {str(error)[:200]}; check the path") from None
