"""The most memory this process held."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def own_peak_mib() -> float | None:
    """This process's peak resident memory in MiB; None where there is no /proc.

    VmHWM, not getrusage: the latter starts at the peak of the process that forked this one.
    """
    if not STATUS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
