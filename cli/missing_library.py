"""Libraries of the system that OpenCV with windows needs, and small machines lack."""

import re

# Debian's and Ubuntu's packages of them.
PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}


def missing_library(error: Exception) -> tuple[str, str] | None:
    """Library and package, where an import failed for want of one: ("libGL.so.1", "libgl1")."""
    named = re.match(r"(lib\S+): cannot open shared object file", str(error))
    if not isinstance(error, ImportError) or named is None or named.group(1) not in PACKAGES:
        return None
    return named.group(1), PACKAGES[named.group(1)]
