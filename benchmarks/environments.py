"""An environment for each peer: made on first use from a pinned file of `peers/`, and kept in the cache. Imports no torch."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.workload import BenchmarkError
from tunesmith.core.files import cache_folder

__all__ = ["PEERS", "environment_folder", "needs_cuda", "peer_python", "requirements"]

PEERS = Path(__file__).parent / "peers"

_WITHOUT_DEPENDENCIES = "# without dependencies"
"""Lines below this one are installed as they are: a program may ask for packages that it does not need here."""
_CUDA = ("nvidia-", "cuda-", "triton")


def requirements(peer: str) -> tuple[list[str], list[str]]:
    """The pinned packages of a peer, and those to install without what they ask for."""
    parts = (PEERS / f"{peer}.txt").read_text(encoding="utf-8").partition(_WITHOUT_DEPENDENCIES)
    first, second = ([line for line in part.splitlines() if line and not line.startswith("#")] for part in (parts[0], parts[2]))
    return first, second


def environment_folder(peer: str) -> Path:
    """Where a peer's environment lies: another folder for other packages or another Python."""
    packages = "\n".join([sys.version, *requirements(peer)[0], *requirements(peer)[1]])
    return cache_folder("benchmarks") / f"{peer}-{hashlib.sha256(packages.encode()).hexdigest()[:12]}"


def interpreter(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def peer_python(peer: str, say: Callable[[str], None]) -> str:
    """The Python of a peer's environment, which is made where it is missing. Raises: BenchmarkError, where it cannot be made.

    The folder takes its name when it is complete: an interrupted installation leaves nothing that looks like an environment.
    """
    folder = environment_folder(peer)
    if not folder.exists():
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            say(f"making an environment for {peer}: some minutes and up to 3 GB, once ({folder})")
            _make(staging, *requirements(peer), peer)
            if not folder.exists():  # another command may have made it meanwhile
                os.rename(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return str(interpreter(folder))


def _make(folder: Path, packages: Sequence[str], alone: Sequence[str], peer: str) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], peer)
    pip = [str(interpreter(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    torch = next(line for line in packages if line.startswith("torch=="))
    report = _run([*pip, "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", torch], peer)
    if needs_cuda(report):
        raise BenchmarkError(
            f"{peer}: pip would install the CUDA build of {torch}, several GB that nothing here uses. Name an index with the CPU build and run"
            " the command again, for example: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
        )
    _run([*pip, "install", "--quiet", "--progress-bar", "off", *packages], peer)
    if alone:
        _run([*pip, "install", "--quiet", "--progress-bar", "off", "--no-deps", *alone], peer)


def needs_cuda(report: str) -> bool:
    """Whether what pip says it would install asks for CUDA's libraries."""
    found = json.loads(report)["install"]
    return any(need.lower().startswith(_CUDA) for one in found for need in one["metadata"].get("requires_dist", []))


def _run(command: Sequence[str], peer: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip() and "WARNING" not in line), "it said nothing")
        raise BenchmarkError(f"{peer}: its environment cannot be made: {last}. Packages: {PEERS / f'{peer}.txt'}")
    return done.stdout
