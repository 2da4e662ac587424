"""Kernels in C: compiled once on this machine, for its processor, where there is a C compiler. torch's own operators do the same elsewhere.

The sources lie in `c/`. What comes out is kept in the cache, under a hash of everything that it depends on, and only if it computes what torch does.
"""

import ctypes
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
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tunesmith.core.errors import TunesmithError
from tunesmith.core.files import cache_folder

__all__ = ["Kernels", "kernels", "why_none"]

_SOURCES = Path(__file__).parent / "c"
_FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC",
)  # fmt: skip
_COMPILE_SECONDS = 120
_ROUNDS = 20
_MAX_RANK = 64
"""Above it the products of an adapter are no longer thin, and torch's are faster."""


_SIGNATURES = {
    "adapted": "ppppppp qqqq f",
    "adapter_backward": "pppppppp qqqq f p",
    "adapter_forward": "ppppp qqqq f ppp",
    "attention_backward": "pppppppp qqqqq f qq ppp",
    "attention_forward": "ppppp qqqqq f qq pp",
    "drop": "pp qqq",
    "matmul": "p pqq pqq p qqqq",
    "quantize_rows": "pp qq pp",
    "rescale_rows": "p qq ppp",
}
"""What the functions take, before the number of threads: addresses, whole numbers, a number."""
_C_TYPES = {"p": ctypes.c_void_p, "q": ctypes.c_int64, "f": ctypes.c_float}


class _Missing(Exception):
    """Why there are no kernels."""


class Kernels:
    """The compiled functions, for tensors. All float32 and contiguous, on the CPU, unless a method says otherwise."""

    def __init__(self, file: Path) -> None:
        self._library = ctypes.CDLL(str(file))
        self._library.lanes.restype = ctypes.c_int64
        for name, signature in _SIGNATURES.items():
            getattr(self._library, name).argtypes = [*(_C_TYPES[one] for one in signature if one != " "), ctypes.c_int]
        for name in ("quantize_rows", "rescale_rows", "drop"):  # they cannot fail, and say nothing
            getattr(self._library, name).restype = None
        self.lanes: int = self._library.lanes()
        """Numbers in a register: sizes that it does not divide are left to torch."""
        self.rates: dict[str, float] = {}
        """GFLOP/s of float32 products, measured when the code was compiled: of "own" kernels, and of "torch"."""

    @property
    def outruns_torch(self) -> bool:
        """Whether products of this code are faster than torch's on this machine."""
        return self.rates.get("own", 0.0) > self.rates.get("torch", 0.0)

    def can_attend(self, q: Tensor, k: Tensor, v: Tensor) -> bool:
        """Whether heads (1, h, T, d) like these can attend: keys and values of one size, as many tokens of each."""
        fits = q.shape[0] == 1 and q.shape[2:] == k.shape[2:] == v.shape[2:] and q.shape[3] % self.lanes == 0
        return fits and _are_floats(q, k, v)

    def can_adapt(self, x_TI: Tensor, a_rI: Tensor, b_Or: Tensor) -> bool:
        """Whether an adapter of such shapes can be run."""
        rank, inputs = a_rI.shape
        sizes_fit = rank <= _MAX_RANK and inputs % self.lanes == 0 and b_Or.shape[0] % self.lanes == 0 and x_TI.shape[0] > 0
        return sizes_fit and _are_floats(x_TI, a_rI, b_Or)

    def can_multiply(self, a_RK: Tensor, b_KN: Tensor) -> bool:
        """Whether matrices like these can be multiplied, b in rows or in columns; one row is left to torch, which reads b in place."""
        (depth, columns), (row, step) = b_KN.shape, b_KN.stride()
        fits = step == 1 or (row == 1 and depth % self.lanes == 0)
        return fits and a_RK.shape[0] > 1 and depth > 0 and columns >= self.lanes and _are_floats(a_RK, b_KN)

    def can_round(self, x_RC: Tensor) -> bool:
        """Whether rows like these can be rounded to int8."""
        return x_RC.shape[1] % self.lanes == 0 and _are_floats(x_RC)

    def attention_forward(
        self, q: Tensor, k: Tensor, v: Tensor, bounds_S1: Tensor, is_causal: bool, scale: float, dropout: float = 0.0, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """`segment_attention` without parents and grid: (1, T, h, d), and the logarithms of the denominators, (1, T, h)."""
        q, k, v = _rows(q, k, v)
        _, heads, num_tokens, size = q.shape
        out, norms = q.new_empty(1, num_tokens, heads, size), q.new_empty(1, num_tokens, heads)
        self.run(
            "attention_forward",
            q,
            k,
            v,
            _strides(q, k, v),
            bounds_S1,
            len(bounds_S1) - 1,
            heads,
            k.shape[1],
            size,
            is_causal,
            scale,
            _dropped(dropout),
            seed,
            out,
            norms,
        )
        return out, norms

    def attention_backward(
        self,
        grad_1Thd: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        norms: Tensor,
        bounds_S1: Tensor,
        is_causal: bool,
        scale: float,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of q, (1, T, h, d), and of k and v, (1, T, k, d)."""
        q, k, v = _rows(q, k, v)
        _, heads, _, size = q.shape
        grads = [x.new_empty(1, x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
        self.run(
            "attention_backward", grad_1Thd, q, k, v, out, norms, _strides(q, k, v), bounds_S1, len(bounds_S1) - 1, heads, k.shape[1], size,
            is_causal, scale, _dropped(dropout), seed, *grads,
        )  # fmt: skip
        return grads[0], grads[1], grads[2]

    def can_drop(self, x: Tensor) -> bool:
        """Whether numbers of such a tensor can be dropped out."""
        return x.numel() % self.lanes == 0 and x.numel() > 0 and _are_floats(x)

    def drop(self, x: Tensor, p: float, seed: int) -> Tensor:
        """`x` with numbers dropped with probability `p`, in steps of 2^-16, the others scaled; the same ones for the same seed and shape."""
        x = x.contiguous()
        y = torch.empty_like(x)
        self.run("drop", x, y, x.numel(), _dropped(p), seed)
        return y

    def matmul(self, a_RK: Tensor, b_KN: Tensor, bias_N: Tensor | None = None, into: Tensor | None = None) -> Tensor:
        """a b + bias, (R, N), or with `into` that plus a b, in place: the same to the bit however many rows there are and whatever the number of threads."""
        c_RN = a_RK.new_empty(len(a_RK), b_KN.shape[1]) if into is None else into
        sizes = (*a_RK.shape, b_KN.shape[1])
        self.run("matmul", c_RN, a_RK, *a_RK.stride(), b_KN, *b_KN.stride(), bias_N, into is not None, *sizes)
        return c_RN

    def quantize_rows(self, x_RC: Tensor, scale_C: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rows, their columns multiplied by `scale_C`, as multiples of a step of each row's own: int8, (R, C), and the steps, (R,)."""
        x_RC = x_RC.contiguous()
        rounded, steps = torch.empty_like(x_RC, dtype=torch.int8), x_RC.new_empty(len(x_RC))
        self.run("quantize_rows", x_RC, scale_C, *x_RC.shape, rounded, steps)
        return rounded, steps

    def rescale_rows(self, sums_RC: Tensor, steps_R: Tensor, scale_C: Tensor | None, bias_C: Tensor | None) -> Tensor:
        """sums * steps * scale + bias, in place of the int32 sums of an int8 product."""
        y_RC = sums_RC.view(torch.float32)
        self.run("rescale_rows", y_RC, *y_RC.shape, steps_R, scale_C, bias_C)
        return y_RC

    def adapted(self, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None, a_rI: Tensor, b_Or: Tensor, alpha: float) -> Tensor:
        """x W' + bias + alpha x A' B', (T, O), in one call: to the bit what `matmul` and `adapter_forward` make."""
        (num_tokens, inputs), (rank, outputs) = x_TI.shape, (a_rI.shape[0], b_Or.shape[0])
        y_TO, xa_Tr = x_TI.new_empty(num_tokens, outputs), x_TI.new_empty(num_tokens, rank)
        self.run("adapted", y_TO, x_TI, weight_OI, bias_O, a_rI, b_Or, xa_Tr, num_tokens, inputs, outputs, rank, alpha)
        return y_TO

    def adapter_forward(
        self,
        y_TO: Tensor,
        x_TI: Tensor,
        a_rI: Tensor,
        b_Or: Tensor,
        alpha: float,
        steps_T: Tensor | None = None,
        scale_O: Tensor | None = None,
        bias_O: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """y += alpha x A' B', in place; where `steps_T` is given, y holds the int32 sums of an int8 product, rescaled first. Returns: y, x A'."""
        y_TO, x_TI = y_TO.view(torch.float32), x_TI.contiguous()
        xa_Tr = x_TI.new_empty(len(x_TI), len(a_rI))
        self.run(
            "adapter_forward", y_TO, x_TI, a_rI.contiguous(), b_Or.contiguous(), xa_Tr, *x_TI.shape, len(b_Or), len(a_rI), alpha,
            steps_T, scale_O, bias_O,
        )  # fmt: skip
        return y_TO, xa_Tr

    def adapter_backward(
        self,
        grad_TO: Tensor,
        x_TI: Tensor,
        a_rI: Tensor,
        b_Or: Tensor,
        xa_Tr: Tensor,
        grad_x_TI: Tensor | None,
        alpha: float,
        steps_T: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """grad_x += alpha grad B A, in place, rescaled first where `steps_T` is given. Returns: the gradients of x, A and B."""
        x_TI, grad_TO, a_rI, b_Or = x_TI.contiguous(), grad_TO.contiguous(), a_rI.contiguous(), b_Or.contiguous()
        grad_x_TI = None if grad_x_TI is None else grad_x_TI.view(torch.float32)
        grad_a, grad_b = torch.empty_like(a_rI), torch.empty_like(b_Or)
        self.run(
            "adapter_backward",
            grad_TO,
            x_TI,
            a_rI,
            b_Or,
            xa_Tr,
            grad_x_TI,
            grad_a,
            grad_b,
            *x_TI.shape,
            len(b_Or),
            len(a_rI),
            alpha,
            steps_T,
        )
        return grad_x_TI, grad_a, grad_b

    def run(self, name: str, *arguments: "Tensor | ctypes.Array[ctypes.c_int64] | float | bool | None") -> None:
        """Call a function of the library by its name, in C's order of arguments. Raises: MemoryError."""
        told = [x.data_ptr() if isinstance(x, Tensor) else x for x in arguments]
        if getattr(self._library, name)(*told, torch.get_num_threads()) == 1:
            raise MemoryError(name)


def _are_floats(*tensors: Tensor) -> bool:
    """Whether all are float32, and on the CPU."""
    return all(x.dtype is torch.float32 and x.is_cpu for x in tensors)


def _dropped(p: float) -> int:
    """How many of 65,536; never all."""
    return min(round(p * 2**16), 2**16 - 1)


def _rows(*tensors: Tensor) -> list[Tensor]:
    """Heads' vectors in one piece each; how heads and tokens follow each other is told by strides."""
    return [x if x.stride(3) == 1 else x.contiguous() for x in tensors]


def _strides(*tensors: Tensor) -> "ctypes.Array[ctypes.c_int64]":
    return (ctypes.c_int64 * (2 * len(tensors)))(*(x.stride(dimension) for x in tensors for dimension in (1, 2)))


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

    scale, bounds = lanes**-0.5, torch.tensor([0, 37])
    q, k, v, grad = random(1, 2, 37, lanes), random(1, 2, 37, lanes), random(1, 2, 37, lanes), random(1, 2, 37, lanes)
    # written out, with its gradients: torch's own may be out of reach, since the first call of a kernel can come from inside an operator
    p = (q @ k.mT * scale).masked_fill(torch.ones(37, 37, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
    ds = p * (grad @ v.mT - (grad * (p @ v)).sum(-1, keepdim=True)) * scale
    out, norms = own.attention_forward(q, k, v, bounds, True, scale)
    grads = own.attention_backward(grad.transpose(1, 2).contiguous(), q, k, v, out, norms, bounds, True, scale)
    expected = (p @ v, ds @ k, ds.mT @ q, p.mT @ grad)
    if not all(_near(found.transpose(1, 2), wanted) for found, wanted in zip((out, *grads), expected, strict=True)):
        return "attention.c"
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


def _near(found: Tensor | None, expected: Tensor) -> bool:
    return found is not None and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
