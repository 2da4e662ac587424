"""Kernels in C: compiled once on this machine, for its processor, where there is a C compiler. torch's own operators do the same elsewhere.

The sources lie in `c/`. What comes out is kept in the cache, under a hash of everything that it depends on, and only if it computes what torch does.
"""

import functools
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from operator import sub
from pathlib import Path

import torch
from torch import Tensor

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import cache_folder
from tunesmith.engine.kernels.compiled import Kernels

__all__ = ["eager_kernels", "kernels", "why_none"]

_SOURCES = Path(__file__).parent / "c"
_FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC",
)  # fmt: skip
_COMPILE_SECONDS = 120
_ROUNDS = 20


class _Missing(Exception):
    """Why there are no kernels."""


@functools.cache
def _found() -> Kernels | str:
    try:
        return _built()
    except (_Missing, OSError, TunesmithError) as error:
        return str(error)


def kernels() -> Kernels | None:
    """The kernels of this machine; None where there are none. The first call on a machine compiles them, which takes seconds."""
    found = _found()
    return None if isinstance(found, str) else found


def eager_kernels() -> Kernels | None:
    """The kernels; none in code that is being compiled, whose compiler joins what they join."""
    return None if torch.compiler.is_compiling() else kernels()


def why_none() -> str:
    """Why this machine has no kernels; empty where it has."""
    found = _found()
    return found if isinstance(found, str) else ""


def _built() -> Kernels:
    """The compiled library, with what was measured of it. Raises: _Missing, OSError, TunesmithError."""
    if sys.platform != "linux":
        raise _Missing("tried on Linux only")
    named = os.environ.get("CC", "").split()
    compiler = next(filter(None, map(shutil.which, [*named[:1], "gcc", "cc", "clang"])), None)
    if compiler is None:
        raise _Missing("no C compiler was found (gcc or clang)")
    sources = sorted(_SOURCES.iterdir())
    file = cache_folder("kernels") / f"{_key(sources, compiler)}.so"
    rates = file.with_suffix(".json")
    if not file.exists() or not rates.exists():
        _build(file, rates, compiler, [source for source in sources if source.suffix == ".c"])
    own = Kernels(file)
    own.rates = json.loads(rates.read_text(encoding="utf-8"))
    return own


def _build(file: Path, rates: Path, compiler: str, sources: Sequence[Path]) -> None:
    """Compiles, checks, measures, and leaves both files, or neither. Raises: _Missing, OSError."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        staged, staged_rates = Path(folder) / file.name, Path(folder) / rates.name
        try:
            done = subprocess.run(
                [compiler, *_FLAGS, *map(str, sources), "-o", str(staged), "-lm"],
                capture_output=True, text=True, errors="replace", timeout=_COMPILE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _Missing(f"{compiler} was not done after {_COMPILE_SECONDS} s") from error
        if done.returncode:
            raise _Missing(f"{compiler}: {(done.stderr.strip() or 'it failed').splitlines()[0]}")
        own = Kernels(staged)
        wrong = _first_wrong(own)
        if wrong:
            raise _Missing(f"what {compiler} made of {wrong} does not compute what torch does")
        staged_rates.write_text(json.dumps(_rates(own)), encoding="utf-8")
        os.replace(staged_rates, rates)
        os.replace(staged, file)


def _rates(own: Kernels) -> dict[str, float]:
    """GFLOP/s of float32 products at the sizes of a small model's layers, the best of some rounds in turn."""
    x, weight = torch.ones(512, 576), torch.ones(1536, 576)
    ways = {"own": lambda: own.matmul(x, weight.t()), "torch": lambda: x @ weight.t()}
    seconds = dict.fromkeys(ways, math.inf)
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()  # type: ignore[no-untyped-call]
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return {name: round(2e-9 * x.numel() * len(weight) / one, 1) for name, one in seconds.items()}


def _key(sources: Sequence[Path], compiler: str) -> str:
    """A hash of the sources, of the compiler, and of the processor, whose instructions the code uses."""
    program = Path(compiler).resolve()
    known = program.stat()
    facts = [" ".join(_FLAGS), str(program), known.st_size, known.st_mtime_ns, platform.machine(), _processor()]
    return hashlib.sha256(repr([*facts, *(source.read_bytes() for source in sources)]).encode()).hexdigest()[:16]


def _processor() -> list[str]:
    with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
        told = ("model name", "flags", "Features", "CPU part")
        return sorted({line.strip() for line in lines if line.startswith(told)})


def _first_wrong(own: Kernels) -> str:
    """The first kernel that does not do what torch does, tried on random numbers; empty where all do."""
    draw, lanes = torch.Generator().manual_seed(0), own.lanes

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    if not _attends(own, random):
        return "attention.c"
    if not _steps(own, random):
        return "step.c"
    dropped = own.drop(torch.ones(64, lanes), 0.5, 7)
    if not bool(((dropped == 0) | (dropped == 2)).all()) or not 0.3 < float(dropped.mean()) / 2 < 0.7:
        return "dropout.c"
    x, a, b, y = random(50, 2 * lanes), random(3, 2 * lanes), random(lanes, 3), random(50, lanes)
    got_y, xa = own.adapter_forward(y.clone(), x, a, b, 0.5)
    got = own.adapter_backward(y, x, a, b, xa, x.clone(), 0.5)
    right = (x + 0.5 * y @ b @ a, 0.5 * (y @ b).t() @ x, 0.5 * y.t() @ (x @ a.t()))
    rounded, steps = own.quantize_rows(x, None)
    whole = own.rescale_rows(rounded.to(torch.int32), steps, None, None)
    adapts = _near(got_y, y + 0.5 * x @ a.t() @ b.t()) and all(_near(g, w) for g, w in zip(got, right, strict=True))
    rows, columns, bias = random(2 * lanes, 3 * lanes + 1), random(3 * lanes + 1, 2 * lanes), random(3 * lanes + 1)
    products = ((x, rows, bias), (x, columns.t(), bias), (y.t(), x @ columns.t(), None), (random(70, 2 * lanes), columns.t(), bias))
    if not all(_near(own.matmul(m, n, b), m @ n + (0 if b is None else b)) for m, n, b in products):
        return "matmul.c"
    return "" if adapts and bool((whole - x).abs().le(0.51 * steps[:, None]).all()) else "adapter.c"


def _attends(own: Kernels, random: Callable[..., Tensor]) -> bool:
    """Attention of a segment, and of segments that continue a root, with its gradients."""
    # written out: torch's own gradients may be out of reach, since the first call of a kernel can come from inside an operator
    scale, length = own.lanes**-0.5, 37
    q, k, v, grad = (random(1, 2, length, own.lanes) for _ in range(4))
    for bounds in ([0, length], [0, 5, 21, length]):
        segments = torch.tensor([number for number, size in enumerate(map(sub, bounds[1:], bounds)) for _ in range(size)])
        seen = torch.ones(length, length, dtype=torch.bool).tril() & ((segments == segments[:, None]) | (segments == 0))
        p = (q @ k.mT * scale).masked_fill(~seen, float("-inf")).softmax(-1)
        ds = p * (grad @ v.mT - (grad * (p @ v)).sum(-1, keepdim=True)) * scale
        places, is_rooted = torch.tensor(bounds), len(bounds) > 2
        out, norms = own.attention_forward(q, k, v, places, True, scale, is_rooted=is_rooted)
        grads = own.attention_backward(grad.transpose(1, 2).contiguous(), q, k, v, out, norms, places, True, scale, is_rooted=is_rooted)
        expected = (p @ v, ds @ k, ds.mT @ q, p.mT @ grad)
        if not all(_near(found.transpose(1, 2), wanted) for found, wanted in zip((out, *grads), expected, strict=True)):
            return False
    return True


def _steps(own: Kernels, random: Callable[..., Tensor]) -> bool:
    """Attention of one token a sequence, to what a cache keeps of each."""
    q, k, v = (random(1, 2, 3, own.lanes) for _ in range(3))
    keys, values, places = random(3, 2, 9, own.lanes), random(3, 2, 9, own.lanes), torch.tensor([6, 0, 3])
    mask = torch.zeros(3, 7).masked_fill(torch.arange(7) > places[:, None], float("-inf"))
    kept_keys, kept_values = keys.clone(), values.clone()
    kept_keys[torch.arange(3), :, places], kept_values[torch.arange(3), :, places] = k[0].transpose(0, 1), v[0].transpose(0, 1)
    scores = q[0].transpose(0, 1)[:, :, None] @ kept_keys[:, :, :7].mT * 0.25 + mask[:, None, None]
    expected = (scores.softmax(-1) @ kept_values[:, :, :7])[:, :, 0]
    return _near(own.attention_step(q, k, v, places, mask, keys, values, 0.25), expected)


def _near(found: Tensor | None, expected: Tensor) -> bool:
    return found is not None and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
