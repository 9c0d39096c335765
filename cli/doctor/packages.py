"""Which distributions are installed, and which of them overwrite each other."""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata

from tombola.cli.doctor.checks import Check
from tombola.cli.missing_library import missing_library

# Distributions that install the same import package: a second one overwrites files of the first.
ONNXRUNTIMES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-training",
    "onnxruntime-silicon",
)
OPENCVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
LEAN = "tombola-lean"
TOMBOLAS = ("tombola", LEAN)
CORE = ("numpy", "typer", "rich")
TRAINING = ("torch", "lightning-fabric", "safetensors", "pydantic", "matplotlib", "onnx", "onnxscript")

# The values of ORT_DISABLE_TELEMETRY that onnxruntime heeds.
TELEMETRY_IS_OFF = frozenset({"1", "true", "yes", "y", "on"})


@dataclass(frozen=True)
class Distribution:
    """An installed distribution; `installer` is what put it there (`pip`, `uv`), empty if unknown."""

    name: str
    version: str
    installer: str = ""


def installed(path: Sequence[str] | None = None) -> dict[str, Distribution]:
    """Normalised name -> distribution, for all that `path` (default: sys.path) holds."""
    found: dict[str, Distribution] = {}
    for entry in metadata.distributions(path=list(sys.path if path is None else path)):
        name = entry.metadata["Name"]
        if not name:  # a folder that a broken uninstall left behind
            continue
        name = name.lower().replace("_", "-").replace(".", "-")
        installer = (entry.read_text("INSTALLER") or "").strip()
        found.setdefault(name, Distribution(name, entry.version, installer))  # the first on the path wins
    return found


def wanted_onnxruntime(
    have: Mapping[str, Distribution], system: str = sys.platform, machine: str = platform.machine()
) -> str:
    """The onnxruntime distribution that Tombola depends on here; the same markers as in pyproject.toml."""
    if LEAN in have:
        return "onnxruntime"
    if system == "win32" or (system == "linux" and machine == "x86_64"):
        return "onnxruntime-gpu"
    return "onnxruntime"


def wanted_opencv(have: Mapping[str, Distribution]) -> str:
    """The OpenCV distribution that Tombola depends on here."""
    return "opencv-python-headless" if LEAN in have else "opencv-python"


def check_double(
    family: Sequence[str], wanted: str, have: Mapping[str, Distribution], *, python: str = sys.executable
) -> Check:
    """One of `family` may be installed; two or more are broken, and the cure is the repairing command."""
    present = [have[name] for name in family if name in have]
    if not present:
        return Check(wanted, "broken", "not installed", f"{_pip(python, '').format('install')} {wanted}")
    if len(present) == 1:
        return Check(present[0].name, "ok", present[0].version)
    keep = _to_keep(present, wanted)
    names = " and ".join(f"{one.name} {one.version}" for one in present)
    installer = next((one.installer for one in present if one.installer == "uv"), "pip")
    return Check(
        " + ".join(one.name for one in present),
        "broken",
        f"{names} are both installed and overwrite each other",
        _uninstall(python, installer, [one.name for one in present])
        + "\n"
        + _install(python, installer, f"{keep.name}=={keep.version}"),
    )


def check_versions(have: Mapping[str, Distribution], tombola_version: str) -> list[Check]:
    """Python, Tombola and what they stand on, with the training extra as one optional block."""
    checks = [
        Check("python", "ok", f"{platform.python_version()} at {sys.executable}"),
        Check("platform", "ok", f"{platform.system()} {platform.release()} {platform.machine()}"),
        Check("tombola", "ok", tombola_version),
    ]
    for name in CORE:
        if name in have:
            checks.append(Check(name, "ok", have[name].version))
        else:
            checks.append(
                Check(name, "broken", "not installed", f"{_pip(sys.executable, '').format('install')} {name}")
            )
    for name in TRAINING:
        if name in have:
            checks.append(Check(name, "ok", have[name].version))
    missing = [name for name in TRAINING if name not in have]
    if missing:
        cure = replace_command(LEAN, "'tombola[train]'") if LEAN in have else "pip install 'tombola[train]'"
        checks.append(Check("training", "absent", f"{', '.join(missing)}: not installed", cure))
    return checks


def check_telemetry(setting: str) -> Check:
    """Whether onnxruntime may send usage data to Microsoft; `setting` is ORT_DISABLE_TELEMETRY."""
    state = "off" if setting.strip().lower() in TELEMETRY_IS_OFF else "on"
    return Check("telemetry", "ok", f"onnxruntime's is {state} (ORT_DISABLE_TELEMETRY={setting})")


def _to_keep(present: Sequence[Distribution], wanted: str) -> Distribution:
    return next((one for one in present if one.name == wanted), present[-1])


def _pip(python: str, installer: str) -> str:
    python = f'"{python}"' if " " in python else python
    return f"uv pip {{}} --python {python}" if installer == "uv" else f"{python} -m pip {{}}"


def _install(python: str, installer: str, requirement: str) -> str:
    # --no-deps: the others are in place; without it a resolver may bring the double back.
    reinstall = "--reinstall" if installer == "uv" else "--force-reinstall"
    return f"{_pip(python, installer).format('install')} {reinstall} --no-deps {requirement}"


def _uninstall(python: str, installer: str, names: Sequence[str]) -> str:
    yes = "" if installer == "uv" else " -y"
    return f"{_pip(python, installer).format('uninstall')}{yes} {' '.join(names)}"


def replace_command(old: str, new: str) -> str:
    """One line that takes one distribution out and puts another in its place."""
    pip = _pip(sys.executable, "")
    return f"{pip.format('uninstall')} -y {old} && {pip.format('install')} {new}"


def check_import(module: str, attribute: str, distribution: Check) -> list[Check]:
    """Nothing where `module` imports and has `attribute`; else what is wrong.

    A folder that a removed double left behind imports as an empty package: only the attribute tells.
    """
    if distribution.state == "broken" and distribution.found == "not installed":
        return [Check(f"import {module}", "broken", "not installed", distribution.cure)]
    try:
        found = hasattr(import_module(module), attribute)
        error = f"{module} has no {attribute}: its files are damaged"
    except Exception as failure:  # whatever the import throws is the finding
        found, error = False, str(failure) or type(failure).__name__
        if lacking := missing_library(failure):
            headless = (
                f"{replace_command(distribution.name, 'opencv-python-headless')}  # instead; opens no windows"
            )
            return [Check(f"import {module}", "broken", error, f"apt install {lacking[1]}\n{headless}")]
    if found:
        return []
    cure = (
        distribution.cure
        or f"{_pip(sys.executable, '').format('install')} --force-reinstall --no-deps {distribution.name}"
    )
    return [Check(f"import {module}", "broken", error, cure)]
