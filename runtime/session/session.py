"""One onnxruntime session: device, threads, and errors that say what is missing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import onnxruntime as ort
from numpy.typing import NDArray

from tombola.errors import DeviceError, ModelError
from tombola.runtime.session import cuda
from tombola.runtime.session.deadline import Deadline
from tombola.runtime.session.threads import default_threads

Device = Literal["auto", "cpu", "cuda"]
FATAL, WARNING = 4, 2

# The exhaustive search tries every algorithm again for each new picture size.
CUDA_PROVIDER = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
CPU_PROVIDER = "CPUExecutionProvider"


@dataclass(frozen=True)
class Session:
    """A loaded network. `run` may be called from several threads at once.

    device: "cpu" or "cuda", as the session reports after it was made; note: why it is not the other.
    threads: threads one run uses on the CPU; deadline: how long one may take.
    """

    inference: Any
    outputs: tuple[str, ...]
    device: str
    note: str
    threads: int
    deadline: Deadline

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Feed arrays by input name, get arrays by output name; inputs left out take their stored default.

        ModelError where onnxruntime fails, or is stopped by the deadline.
        """
        options = ort.RunOptions()
        try:
            with self.deadline.watch("an answer", lambda: setattr(options, "terminate", True)):
                answers = self.inference.run(self.outputs, feeds, options)
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's errors share no other base class
            raise ModelError(
                f"the model failed while running on {self.device}: {_first_line(error)}"
            ) from error
        return dict(zip(self.outputs, answers, strict=True))


def open_session(
    model: bytes,
    device: str = "auto",
    threads: int | None = None,
    *,
    deadline_s: float | None = None,
    trial_feeds: Callable[[], Mapping[str, NDArray[Any]]],
    profile_prefix: str | None = None,
    optimised: bool = True,
) -> Session:
    """Make a session from the bytes of a checked `.onnx` file.

    device:  "auto" takes CUDA where it really works, else the CPU; "cuda" is a DeviceError where it does not.
    threads: CPU threads of one run; None is one for each physical core.
    deadline_s: seconds that making the session, and each run, may take; None is no limit.
    trial_feeds: makes a small question; CUDA counts as working once it has answered it.
    profile_prefix: write onnxruntime's profile to a file whose path starts so.
    optimised: let onnxruntime fuse nodes; without, it runs them as the file has them.

    Raises DeviceError (the device cannot be had) and ModelError (onnxruntime refuses the file).
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device!r} is not known; take 'auto', 'cpu' or 'cuda'.")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise DeviceError(f"threads {threads!r} must be a whole number of 1 or more.")
    threads = default_threads() if threads is None else threads
    deadline = Deadline(deadline_s)
    options = _options(threads, profile_prefix)
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with deadline.watch("opening it", lambda: options.set_load_cancellation_flag(True)):
        inference, note = _open(model, device, options, trial_feeds)
    # A session whose GPU run fails would print, fall back to the CPU and say nothing to the caller.
    inference.disable_fallback()
    outputs = tuple(output.name for output in inference.get_outputs())
    found = "cuda" if "CUDAExecutionProvider" in inference.get_providers() else "cpu"
    return Session(inference, outputs, found, note, threads, deadline)


def _open(
    model: bytes,
    device: str,
    options: ort.SessionOptions,
    trial_feeds: Callable[[], Mapping[str, NDArray[Any]]],
) -> tuple[Any, str]:
    """onnxruntime's session, and why it does not run on CUDA; the reason is empty where it does."""
    if device == "cpu":
        return _create(model, options, [CPU_PROVIDER]), "the CPU was asked for"

    reason = "this onnxruntime was built without CUDA" if not cuda.has_cuda_build() else ""
    # `auto` does not spend time on libraries that are useless without a driver.
    if not reason and device == "auto" and not cuda.has_driver():
        reason = f"{cuda.DRIVER} (NVIDIA's driver) is not installed"
    if not reason:
        inference, reason = _try_cuda(model, options, trial_feeds)
        if inference is not None:
            return inference, ""
    if device == "cuda":
        raise DeviceError(
            f"CUDA cannot be used: {reason}. Install what is missing, or use device='cpu'; "
            "`tombola doctor` lists what is found."
        )
    return _create(model, options, [CPU_PROVIDER]), f"CUDA is not used: {reason}"


def _options(threads: int, profile_prefix: str | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = FATAL  # it warns about each optional input; errors come as exceptions
    # Told, it reads what was checked: by itself it takes some bytes for a format of its own.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Planning which buffers to share takes half of the start, and saves no memory that can be measured.
    options.enable_mem_reuse = False
    # Threads that wait by spinning bridge the gaps between nodes, a tenth of the time; after a millisecond
    # they sleep, so that between two pictures the cores are free for whoever reads the next one.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return options


def _create(model: bytes, options: ort.SessionOptions, providers: list[Any]) -> Any:
    try:
        inference = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's errors share no other base class
        raise ModelError(f"onnxruntime {ort.__version__} refuses the file: {_first_line(error)}") from error
    return inference


def _try_cuda(
    model: bytes, options: ort.SessionOptions, trial_feeds: Callable[[], Mapping[str, NDArray[Any]]]
) -> tuple[Any | None, str]:
    """A session that has run on CUDA, or None and the reason. Only the finished session knows the truth."""
    cuda.preload()
    with _quiet():
        inference = _create(model, options, [CUDA_PROVIDER, CPU_PROVIDER])
        if "CUDAExecutionProvider" not in inference.get_providers():
            missing = cuda.missing_libraries()
            if not missing:
                return None, "the driver or the GPU does not suit this onnxruntime"
            return None, f"{', '.join(missing)} cannot be loaded"
        try:
            inference.run(None, dict(trial_feeds()))
        except Exception as error:  # onnxruntime's errors share no other base class
            return None, f"a first run on it failed ({_first_line(error)})"
    return inference, ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep onnxruntime's own logger silent: a library it cannot load is told as our error, once."""
    ort.set_default_logger_severity(FATAL)
    try:
        yield
    finally:
        ort.set_default_logger_severity(WARNING)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
