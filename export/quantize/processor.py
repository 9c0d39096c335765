"""Which form of int8 a kind of processor multiplies fast."""

import platform
from dataclasses import dataclass
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Any of them multiplies unsigned by signed bytes and sums four products without saturation.
EXACT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


@dataclass(frozen=True)
class Processor:
    """signed_activations: int8 around 0 instead of uint8; onnxruntime is ten times slower with them on x86.
    reduce_range: weights in 7 bits, where sums of two products would saturate."""

    name: str
    signed_activations: bool
    reduce_range: bool


PROCESSORS = {
    one.name: one
    for one in (
        Processor("x64", signed_activations=False, reduce_range=False),
        Processor("x64-avx2", signed_activations=False, reduce_range=True),
        Processor("arm", signed_activations=True, reduce_range=False),
    )
}


def this_processor() -> Processor:
    """That of this machine; x64 where it does not tell."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return PROCESSORS["arm"]
    try:
        flags = CPU_INFO.read_text().split()
    except OSError:
        return PROCESSORS["x64"]
    return PROCESSORS["x64" if EXACT.intersection(flags) else "x64-avx2"]
