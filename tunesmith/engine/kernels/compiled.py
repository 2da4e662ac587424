"""The functions of the compiled library, for tensors."""

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from tunesmith.engine.kernels.room import BRIEF, PASSING, room_for

__all__ = ["Kernels"]

_MAX_RANK = 64
"""Above it the products of an adapter are no longer thin, and torch's are faster."""

_SIGNATURES = {
    "adapted": "ppppppp qqqq f",
    "adapter_backward": "pppppppp qqqq f p",
    "adapter_forward": "ppppp qqqq f ppp",
    "attention_backward": "pppppppp qqqqqq f qq ppp",
    "attention_forward": "ppppp qqqqqq f qq pp",
    "attention_step": "pppppppp qqqqqq f p",
    "drop": "pp qqq",
    "gated": "ppp q",
    "gated_backward": "ppppp q",
    "matmul": "p pqq pqq p qqqq",
    "quantize_rows": "pp qq pp",
    "rescale_rows": "p qq ppp",
    "rms_norm": "pppp qq f q",
    "rms_norm_backward": "ppppp qq",
    "rotate": "p qq ppp qqqq",
}
"""What the functions take, before the number of threads: addresses, whole numbers, a number."""
_CANNOT_FAIL = ("drop", "gated", "gated_backward", "quantize_rows", "rescale_rows", "rms_norm", "rms_norm_backward", "rotate")
"""They return nothing; the others 1, where memory ran out."""
_C_TYPES = {"p": ctypes.c_void_p, "q": ctypes.c_int64, "f": ctypes.c_float}


class Kernels:
    """The compiled functions, for tensors. All float32 and contiguous, on the CPU, unless a method says otherwise."""

    def __init__(self, file: Path) -> None:
        self._library = ctypes.CDLL(str(file))
        self._library.lanes.restype = ctypes.c_int64
        for name, signature in _SIGNATURES.items():
            getattr(self._library, name).argtypes = [*(_C_TYPES[one] for one in signature if one != " "), ctypes.c_int]
        for name in _CANNOT_FAIL:
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
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bounds_S1: Tensor,
        is_causal: bool,
        scale: float,
        dropout: float = 0.0,
        seed: int = 0,
        *,
        is_rooted: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """`segment_attention` without grid: (1, T, h, d), and the logarithms of the denominators, (1, T, h).

        Args:
            is_rooted: whether every segment but the first continues the first; else none continues another.
        """
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
            is_rooted,
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
        *,
        is_rooted: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of q, (1, T, h, d), and of k and v, (1, T, k, d)."""
        q, k, v = _rows(q, k, v)
        _, heads, _, size = q.shape
        grads = [x.new_empty(1, x.shape[2], x.shape[1], x.shape[3]) for x in (q, k, v)]
        self.run(
            "attention_backward", grad_1Thd, q, k, v, out, norms, _strides(q, k, v), bounds_S1, len(bounds_S1) - 1, heads, k.shape[1], size,
            is_causal, is_rooted, scale, _dropped(dropout), seed, *grads,
        )  # fmt: skip
        return grads[0], grads[1], grads[2]

    def attention_step(
        self, q: Tensor, k: Tensor, v: Tensor, places_R: Tensor, mask_RK: Tensor, keys: Tensor, values: Tensor, scale: float
    ) -> Tensor:
        """One query a sequence, (R, h, d), which sees what `keys` and `values`, (R or more, k, C, d), hold once k and v are put to their places there.

        Args:
            q: (1, h, R, d). k, v: (1, k, R, d).
            mask_RK: added to the scores of the first K keys.
        """
        q, k, v = _rows(q, k, v)
        heads, rows, size = q.shape[1:]
        out = q.new_empty(rows, heads, size)
        sizes = (*mask_RK.shape, keys.shape[2], heads, k.shape[1], size)
        self.run("attention_step", q, k, v, _strides(q, k, v), places_R, mask_RK, keys, values, *sizes, scale, out)
        return out

    def can_rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> bool:
        """Whether heads (1, h, T, d) can be rotated by cos and sin (1, T, d)."""
        fits = x.dim() == 4 and x.shape[0] == 1 and cos.shape == sin.shape == (1, *x.shape[2:]) and x.shape[3] % (2 * self.lanes) == 0
        return fits and cos.is_contiguous() and sin.is_contiguous() and _are_floats(x, cos, sin)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor, *, is_backward: bool = False) -> Tensor:
        """Heads (1, h, T, d) at their rotary positions; of a gradient, back."""
        (x,) = _rows(x)
        _, heads, num_tokens, size = x.shape
        y = x.new_empty(1, num_tokens, heads, size)
        self.run("rotate", x, x.stride(1), x.stride(2), cos, sin, y, num_tokens, heads, size, is_backward)
        return y.transpose(1, 2)

    def can_drop(self, x: Tensor) -> bool:
        """Whether numbers of such a tensor can be dropped out."""
        return x.numel() % self.lanes == 0 and x.numel() > 0 and _are_floats(x)

    def drop(self, x: Tensor, p: float, seed: int) -> Tensor:
        """`x` with numbers dropped with probability `p`, in steps of 2^-16, the others scaled; the same ones for the same seed and shape."""
        x = x.contiguous()
        y = torch.empty_like(x)
        self.run("drop", x, y, x.numel(), _dropped(p), seed)
        return y

    def can_gate(self, gate: Tensor, up: Tensor) -> bool:
        """Whether `gated` takes such tensors."""
        fits = gate.shape == up.shape and gate.shape[-1] % self.lanes == 0 and gate.is_contiguous() and up.is_contiguous()
        return fits and _are_floats(gate, up)

    def gated(self, gate: Tensor, up: Tensor, into: Tensor | None = None) -> Tensor:
        """silu(gate) * up, made in `into` where it is given."""
        y = room_for(gate.shape, gate, BRIEF) if into is None else into
        self.run("gated", gate, up, y, y.numel())
        return y

    def gated_backward(self, grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of both, from that of their product."""
        grad_gate, grad_up = torch.empty_like(gate), torch.empty_like(up)
        self.run("gated_backward", grad.contiguous(), gate, up, grad_gate, grad_up, gate.numel())
        return grad_gate, grad_up

    def can_norm(self, x: Tensor, weight_H: Tensor) -> bool:
        """Whether vectors like these can be normalized."""
        return x.shape[-1] == len(weight_H) and len(weight_H) % self.lanes == 0 and weight_H.is_contiguous() and _are_floats(x, weight_H)

    def rms_norm(self, x_RH: Tensor, weight_H: Tensor, epsilon: float, inverse_R: Tensor, *, is_known: bool = False) -> Tensor:
        """w x / rms(x), (R, H). `inverse_R`: 1 / rms of each row, read where it is known, else written."""
        y_RH = room_for(x_RH.shape, x_RH, BRIEF)
        self.run("rms_norm", x_RH.contiguous(), weight_H, y_RH, inverse_R, *x_RH.shape, epsilon, is_known)
        return y_RH

    def rms_norm_backward(self, grad_RH: Tensor, x_RH: Tensor, weight_H: Tensor, inverse_R: Tensor) -> Tensor:
        """The gradient of x, (R, H)."""
        grad_x = torch.empty_like(grad_RH)
        self.run("rms_norm_backward", grad_RH, x_RH.contiguous(), weight_H, inverse_R, grad_x, *grad_x.shape)
        return grad_x

    def matmul(self, a_RK: Tensor, b_KN: Tensor, bias_N: Tensor | None = None, into: Tensor | None = None) -> Tensor:
        """a b + bias, (R, N), or with `into` that plus a b, in place: the same to the bit however many rows there are and whatever the number of threads."""
        c_RN = room_for((len(a_RK), b_KN.shape[1]), a_RK, PASSING) if into is None else into
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
        y_TO, xa_Tr = room_for((num_tokens, outputs), x_TI, PASSING), x_TI.new_empty(num_tokens, rank)
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
