"""How many threads a network should use on this machine."""

import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def default_threads() -> int:
    """Physical cores this process may use: two threads of one core share its arithmetic units."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(cores) or os.cpu_count() or 1, _quota()))


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int:
    """Whole CPUs that a container (cgroup v2) grants; many where there is no limit."""
    try:
        quota, period = CPU_MAX.read_text().split()[:2]
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 16
