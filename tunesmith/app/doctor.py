"""What this machine offers to a training run, and what would stand in its way."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from tunesmith import __version__
from tunesmith.core.files import cache_folder

__all__ = ["examine"]

_VECTOR_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16", "sve")
"""What makes matrix products fast, on x86 and on ARM."""
_HUB_VARIABLES = (
    "HF_HOME",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "HTTPS_PROXY",
    "https_proxy",
)
_SECRET = ("HF_TOKEN", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy")
_LEAST_FREE_BYTES = 5 * 10**9


def examine() -> dict[str, Any]:
    """Facts by name, and `problems`, one line each; without torch, the facts that need none."""
    cache = cache_folder()
    disk = shutil.disk_usage(cache)
    facts: dict[str, Any] = {
        "tunesmith": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "num_cores": _num_cores(),
        "memory_bytes": _memory("MemTotal"),
        "memory_available_bytes": _memory("MemAvailable"),
        "vector_instructions": _vector_flags(),
        "cache": str(cache),
        "disk_free_bytes": disk.free,
        "packages": {name: _version(name) for name in ("torch", "transformers", "peft", "datasets", "safetensors")},
        "environment": {name: "(set)" if name in _SECRET else os.environ[name] for name in _HUB_VARIABLES if name in os.environ},
    }
    missing = [name for name, found in facts["packages"].items() if found is None]
    facts["devices"] = [] if "torch" in missing else _devices()
    facts["kernels"] = "none: torch is missing" if "torch" in missing else _kernels()
    facts["cached_models"] = [] if missing else _cached_models()
    facts["problems"] = [f"{name} is not installed. Install it: pip install {name}" for name in missing]
    if disk.free < _LEAST_FREE_BYTES:
        facts["problems"].append(
            f"{cache}: only {disk.free / 1e9:.1f} GB are free. Models and runs need some; TUNESMITH_CACHE names another folder."
        )
    return facts


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _num_cores() -> int | None:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory(entry: str) -> int | None:
    """Bytes, of Linux's list; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:")), None)


def _vector_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    flags = next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith(("flags", "Features"))), set[str]())
    return [flag for flag in _VECTOR_FLAGS if flag in flags]


def _devices() -> list[str]:
    import torch

    found = ["cpu"]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append(f"cuda:{index} {facts.name}, {facts.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _kernels() -> str:
    """Whether the kernels in C run here, and how fast they are; they are compiled now where they were not yet."""
    from tunesmith.engine.kernels.native import kernels, why_none

    own = kernels()
    if own is None:
        return f"none, slower ways take their place: {why_none()}"
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in own.rates.items())
    return (
        f"compiled for this processor; float32 products by {'our own' if own.outruns_torch else 'torch'} (GFLOP/s when compiled: {rates})"
    )


def _cached_models() -> list[str]:
    from tunesmith.model.source import aliases

    return [alias.name for alias in aliases() if alias.cached]
