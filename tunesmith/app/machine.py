"""What machine this is, which versions run on it, and how much memory the process has taken."""

import contextlib
import math
import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tunesmith import __version__
from tunesmith.core.errors import UsageError
from tunesmith.core.system import memory_bytes

__all__ = [
    "available_memory_bytes",
    "begin_peak_memory",
    "choose_device",
    "choose_precision",
    "machine_facts",
    "matmul_flops_per_second",
    "peak_memory_bytes",
    "reset_peak_memory",
    "resident_bytes",
    "versions",
]

_RATE_SECONDS, _PRODUCTS = 0.05, 8
"""That the rate of products is measured for, so many together."""
_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "tokenizers",
    "datasets",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "sacrebleu",
    "rouge-score",
    "lm_eval",
)


def versions() -> dict[str, str]:
    """Python, tunesmith, and the packages that a result depends on."""
    installed = {name: found for name in _PACKAGES if (found := _installed(name)) is not None}
    return {"python": platform.python_version(), "tunesmith": __version__, **installed}


@cache
def _installed(name: str) -> str | None:
    """Its version, read once a process: it takes milliseconds."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""How much the system lets this container take, in version 2 and 1 of its interface; past it the process is killed."""


def available_memory_bytes(device: torch.device) -> int:
    """The most memory that this process can come to, with what it has now: of the GPU where one is used. 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    found = [memory_bytes()]
    with contextlib.suppress(OSError, StopIteration):
        free = next(line for line in Path("/proc/meminfo").read_text("utf-8").splitlines() if line.startswith("MemAvailable:"))
        found.append(int(free.split()[1]) * 1024 + resident_bytes(torch.device("cpu")))
    for file in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            found.append(int(file.read_text("utf-8")))
    return min(found)


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def machine_facts(device: torch.device) -> dict[str, Any]:
    """The `machine` part of a report."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "num_cores": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
        "memory_bytes": memory_bytes(),
        "device": name,
    }


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory so far: of the GPU where one is used, else of this whole process. 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes(device: torch.device) -> int:
    """The memory that is taken now: of the GPU where one is used, else by this process. 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def reset_peak_memory(device: torch.device) -> bool:
    """Let `peak_memory_bytes` of a GPU begin anew. Returns: whether it does; the system keeps a whole process's from its start."""
    if device.type != "cuda":
        return False
    torch.cuda.reset_peak_memory_stats(device)
    return True


def begin_peak_memory(device: torch.device) -> None:
    """Let `peak_memory_bytes` tell of what comes, and of what the process holds now: of a GPU, and on Linux of the process; elsewhere it goes on from the process's start."""
    if reset_peak_memory(device):
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak resident set


def choose_device(wanted: str) -> torch.device:
    """The device that a recipe asks for; auto: the first GPU, else the CPU. Raises: UsageError, where it is not there."""
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"engine.device: {wanted}: torch sees no CUDA device here. Use auto or cpu, or install a CUDA build of torch.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"engine.device: {wanted}: there are only {torch.cuda.device_count()} CUDA devices here, counted from 0.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("engine.device: mps: torch sees no Apple GPU here. Use auto or cpu.")
    return device


def choose_precision(wanted: str, device: torch.device, *, reads_numbers: bool = False) -> torch.dtype | None:
    """The type that matrix products are computed in, where it is not the weights' own; auto: bfloat16 on GPUs that have it.

    A network that reads rows of numbers is whole in float32, whatever is wanted: with the 8 bits that bfloat16 has, 2019 and 2020 are one number,
    and standardizing what was rounded brings nothing back. Such networks are small, so that there is little to win.
    """
    if reads_numbers:
        return None
    if wanted == "bf16" or (wanted == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()):
        return torch.bfloat16
    return None


def matmul_flops_per_second(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of a matrix product as the engine makes it, measured in a few hundredths of a second: what predictions of time rest on."""
    import time

    from tunesmith.engine.kernels.linear import times

    a, b = torch.randn(512, 768, device=device, dtype=dtype), torch.randn(768, 768, device=device, dtype=dtype)
    for _ in range(3):
        times(a, b)
    begun, fastest = time.perf_counter(), math.inf
    while time.perf_counter() - begun < _RATE_SECONDS:
        started = time.perf_counter()
        for _ in range(_PRODUCTS):
            c = times(a, b)
        float(c[0, 0])
        fastest = min(fastest, time.perf_counter() - started)  # what else the machine does meanwhile only makes it slower
    return _PRODUCTS * 2 * 512 * 768 * 768 / fastest
