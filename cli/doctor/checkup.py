"""The doctor's round: every check of this machine, group by group."""

import os
from collections.abc import Iterator

import tombola
from tombola.cli.doctor import cuda as doctor_cuda
from tombola.cli.doctor import live as doctor_live
from tombola.cli.doctor import packages as doctor_packages
from tombola.cli.doctor.checks import Check
from tombola.cli.shipped import model_or_shipped
from tombola.cli.tasks import TASKS
from tombola.errors import TombolaError

# An .onnx file of one Identity node, `image` to `same`: enough to see what a session really runs on.
IDENTITY_MODEL = (
    b'\x08\x09\x12\x00:Y\n\x17\n\x05image\x12\x04same"\x08Identity\x12\x01gZ\x1d\n\x05image\x12\x14\n\x12\x08\x02'
    b"\x12\x0e\n\x03\x12\x01h\n\x03\x12\x01w\n\x02\x08\x03b\x1c\n\x04same\x12\x14\n\x12\x08\x02\x12\x0e\n\x03\x12"
    b"\x01h\n\x03\x12\x01w\n\x02\x08\x03B\x04\n\x00\x10\x14"
)


def checkup() -> Iterator[tuple[str, list[Check]]]:
    """Yield (title, checks) for each group; a group is looked at when it is asked for.

    Where onnxruntime or OpenCV cannot be imported at all, that is a finding and its groups are left out.
    """
    have = doctor_packages.installed()
    yield "Versions", doctor_packages.check_versions(have, tombola.__version__)
    onnxruntime = doctor_packages.check_double(
        doctor_packages.ONNXRUNTIMES, doctor_packages.wanted_onnxruntime(have), have
    )
    opencv = doctor_packages.check_double(doctor_packages.OPENCVS, doctor_packages.wanted_opencv(have), have)
    ours = []
    if all(name in have for name in doctor_packages.TOMBOLAS):
        ours.append(doctor_packages.check_double(doctor_packages.TOMBOLAS, "tombola", have))
    broken = [
        *doctor_packages.check_import("onnxruntime", "InferenceSession", onnxruntime),
        *doctor_packages.check_import("cv2", "imdecode", opencv),
    ]
    telemetry = doctor_packages.check_telemetry(os.environ["ORT_DISABLE_TELEMETRY"])
    yield "Installed once", [*ours, onnxruntime, opencv, *broken, telemetry]
    failed = {check.name for check in broken}
    if "import onnxruntime" not in failed:
        yield "Devices", _devices()
    if not failed:
        yield "Models that ship", [_model(task) for task in TASKS]
    if "import cv2" not in failed:
        yield "Live", _live(opencv.name)


def _devices() -> list[Check]:
    import onnxruntime

    from tombola.runtime.session import cuda
    from tombola.runtime.session.session import open_session
    from tombola.runtime.tasks.table import noise_picture

    def open_on(device: str) -> None:
        open_session(IDENTITY_MODEL, device, trial_feeds=lambda: noise_picture((32, 32)))

    listed = onnxruntime.get_available_providers()
    checks = doctor_cuda.check_providers(listed, cuda.has_driver(), open_on)
    version = getattr(onnxruntime, "cuda_version", "")
    if version:
        checks += doctor_cuda.check_cuda(doctor_cuda.cuda_libraries(version), cuda.DRIVER)
    return checks


def _model(task: str) -> Check:
    from tombola.runtime.verify import verify

    kind = TASKS[task].noun
    cure = "pip install --force-reinstall --no-deps tombola"
    try:
        path = model_or_shipped(None, task)
        report = verify(path, "cpu")
    except TombolaError as error:
        return Check(kind, "broken", str(error), cure)
    if not report.ok:
        return Check(kind, "broken", f"{path.name} answers differently from when it was made", cure)
    return Check(kind, "ok", f"{path.name} answers as it did when it was made")


def _live(opencv: str) -> list[Check]:
    import cv2

    from tombola.runtime.moving.window import check_display

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what it prints about a codec, we tell ourselves
    cv2.utils.logging.setLogLevel(0)
    return [
        doctor_live.check_display(cv2.getBuildInformation(), check_display, opencv),
        doctor_live.check_codecs(doctor_live.writes_clip, opencv),
        doctor_live.check_cameras(doctor_live.camera_size),
    ]
