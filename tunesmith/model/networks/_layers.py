"""The layers of a small network, with what Keras means by them.

B rows    T positions    C numbers a position    U units of a layer
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "Layer", "Sequences", "without_weights"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: x.softmax(-1),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "exponential": torch.exp,
    "hard_sigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "hard_sigmoid_fifth": lambda x: (x * 0.2 + 0.5).clamp(0, 1),
}
"""By Keras's names; `hard_sigmoid_fifth` is what Keras 2 called hard_sigmoid."""

_LEAST_DEVIATION = 1e-7
"""Keras's epsilon: a column of one value is divided by it."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """What passes between layers: one vector a row, or one a position."""

    x: Tensor
    """(B, C), or (B, T, C)."""
    alive: Tensor | None = None
    """(B, T): the positions that the row has; behind them it is filled up to the longest."""
    mask: Tensor | None = None
    """(B, T): the positions that layers look at, where an embedding says that some are padding; None: all of them."""

    @property
    def seen(self) -> Tensor:
        """(B, T): positions that the row has and that are no padding."""
        assert self.alive is not None
        return self.alive if self.mask is None else self.alive & self.mask

    def of(self, x: Tensor) -> "Sequences":
        """The same positions with other numbers."""
        return Sequences(x, self.alive, self.mask)


class Layer(nn.Module):
    """A layer with weights: `Dense`, `LayerNormalization`, `Conv1D`, `SimpleRNN`, `LSTM`, `GRU` or `Bidirectional`."""

    def __init__(self, spec: Mapping[str, Any], width: int) -> None:
        """`spec`: class and settings by Keras's names; `width`: numbers that it reads."""
        super().__init__()
        self.spec = dict(spec)
        kind = spec["class"]
        if kind == "Dense":
            self.linear = nn.Linear(width, spec["units"], bias=spec["use_bias"])
            self.width = int(spec["units"])
        elif kind == "LayerNormalization":
            self.norm = _Norm(width, spec)
            self.width = width
        elif kind == "Conv1D":
            self.conv = nn.Conv1d(
                width, spec["filters"], spec["kernel_size"], stride=spec["strides"], dilation=spec["dilation_rate"],
                groups=spec["groups"], bias=spec["use_bias"],
            )  # fmt: skip
            self.width = int(spec["filters"])
        elif kind == "Bidirectional":
            self.forwards, self.backwards = _Recurrent(spec["layer"], width), _Recurrent(spec["layer"], width)
            self.width = int(spec["layer"]["units"]) * (2 if spec["merge_mode"] == "concat" else 1)
        else:
            self.forwards = _Recurrent(spec, width)
            self.width = int(spec["units"])

    def forward(self, given: Sequences) -> Sequences:
        """What it says of what the layer before it said."""
        spec, kind = self.spec, self.spec["class"]
        if kind == "Dense":
            return given.of(ACTIVATIONS[spec["activation"]](self.linear(given.x)))
        if kind == "LayerNormalization":
            return given.of(self.norm(given.x))
        if kind == "Conv1D":
            return self._convolved(given)
        if kind == "Bidirectional":
            return self._both_ways(given)
        return self._one_way(given)

    def _one_way(self, given: Sequences) -> Sequences:
        spec = self.spec
        x, seen = given.x, given.seen
        if spec["go_backwards"]:
            x, seen = x.flip(1), seen.flip(1)
        states = self.forwards(x, seen)
        return given.of(states) if spec["return_sequences"] else Sequences(states[:, -1])

    def _both_ways(self, given: Sequences) -> Sequences:
        seen, inner = given.seen, self.spec["layer"]
        there, back = self.forwards(given.x, seen), self.backwards(given.x.flip(1), seen.flip(1))
        if inner["return_sequences"]:
            made = self._merged(there, back.flip(1))
            return given.of(made * seen[..., None].to(made.dtype))  # Keras says nothing where both ways skip a position
        return Sequences(self._merged(there[:, -1], back[:, -1]))

    def _merged(self, there: Tensor, back: Tensor) -> Tensor:
        mode = self.spec["merge_mode"]
        if mode == "concat":
            return torch.cat([there, back], -1)
        return there * back if mode == "mul" else (there + back) / (2 if mode == "ave" else 1)

    def _convolved(self, given: Sequences) -> Sequences:
        """A convolution sees padding as its embedding is, and nothing behind a row's end. It does not hand a mask on."""
        spec, alive = self.spec, given.alive
        assert alive is not None
        reach = (spec["kernel_size"] - 1) * spec["dilation_rate"]
        x, lengths = given.x * alive[..., None].to(given.x.dtype), alive.sum(1)
        stride = spec["strides"]
        if spec["padding"] == "same":
            length = x.shape[1]
            around = max((-(-length // stride) - 1) * stride + reach + 1 - length, 0)
            x = F.pad(x, (0, 0, around // 2, around - around // 2))
            made_lengths = -(-lengths // stride)
        elif spec["padding"] == "causal":
            x, made_lengths = F.pad(x, (0, 0, reach, 0)), (lengths - 1) // stride + 1
        else:
            made_lengths = (lengths - reach - 1) // stride + 1
        made = ACTIVATIONS[spec["activation"]](self.conv(x.transpose(1, 2)).transpose(1, 2))
        places = torch.arange(made.shape[1], device=made.device)
        return Sequences(made, places[None] < made_lengths[:, None])


class _Norm(nn.Module):
    """Layer normalization with a gain and a shift, or without one of them."""

    def __init__(self, width: int, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.epsilon = float(spec["epsilon"])
        self.weight = nn.Parameter(torch.ones(width)) if spec["scale"] else None
        self.bias = nn.Parameter(torch.zeros(width)) if spec["center"] else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


class _Recurrent(nn.Module):
    """One way over the positions; a position that is not seen leaves the state as it was.

    Gates lie side by side as Keras has them: LSTM input, forget, candidate, output; GRU update, reset, candidate.
    """

    def __init__(self, spec: Mapping[str, Any], width: int) -> None:
        super().__init__()
        self.kind, self.units = str(spec["class"]), int(spec["units"])
        gates = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[self.kind] * self.units
        self.resets_after = self.kind == "GRU" and bool(spec["reset_after"])
        self.act = ACTIVATIONS[spec["activation"]]
        self.gate = ACTIVATIONS[spec.get("recurrent_activation", "sigmoid")]
        self.dropout, self.recurrent_dropout = float(spec["dropout"]), float(spec["recurrent_dropout"])
        self.kernel = nn.Parameter(torch.empty(gates, width))
        self.recurrent_kernel = nn.Parameter(torch.empty(gates, self.units))
        shape = (2, gates) if self.resets_after else (gates,)
        self.bias = nn.Parameter(torch.zeros(shape)) if spec["use_bias"] else None

    def forward(self, x_BTC: Tensor, seen_BT: Tensor) -> Tensor:
        """The state after each position, (B, T, U)."""
        x_BTC = x_BTC * self._kept(x_BTC[:, :1], self.dropout)
        bias = None if self.bias is None else self.bias[0] if self.resets_after else self.bias
        read_TBG = F.linear(x_BTC, self.kernel, bias).transpose(0, 1)
        h = x_BTC.new_zeros(len(x_BTC), self.units)
        c, kept, states = h, self._kept(h, self.recurrent_dropout), list[Tensor]()
        for read_BG, seen_B in zip(read_TBG, seen_BT.T, strict=True):
            new_h, new_c = self._step(read_BG, h * kept, h, c)
            is_seen = seen_B[:, None]
            h, c = torch.where(is_seen, new_h, h), torch.where(is_seen, new_c, c)
            states.append(h)
        return torch.stack(states, 1)

    def _step(self, read_BG: Tensor, dropped_h: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "GRU":
            return self._gru(read_BG, dropped_h, h), c
        made = read_BG + F.linear(dropped_h, self.recurrent_kernel)
        if self.kind == "SimpleRNN":
            return self.act(made), c
        i, f, g, o = made.chunk(4, -1)
        c = self.gate(f) * c + self.gate(i) * self.act(g)
        return self.gate(o) * self.act(c), c

    def _gru(self, read_BG: Tensor, dropped_h: Tensor, h: Tensor) -> Tensor:
        x_z, x_r, x_h = read_BG.chunk(3, -1)
        w_z, w_r, w_h = self.recurrent_kernel.chunk(3)
        if self.resets_after:
            z, r, inner = F.linear(dropped_h, self.recurrent_kernel, None if self.bias is None else self.bias[1]).chunk(3, -1)
            z, r = self.gate(x_z + z), self.gate(x_r + r)
            inner = r * inner
        else:
            z, r = self.gate(x_z + F.linear(dropped_h, w_z)), self.gate(x_r + F.linear(dropped_h, w_r))
            inner = F.linear(r * dropped_h, w_h)
        return z * h + (1 - z) * self.act(x_h + inner)

    def _kept(self, like: Tensor, share: float) -> Tensor:
        """The same numbers are dropped at every position of a row."""
        return F.dropout(torch.ones_like(like), share, self.training) if share and self.training else like.new_ones(())


def without_weights(spec: Mapping[str, Any], given: Sequences, *, is_training: bool) -> Sequences:
    """What a layer without weights says: `Normalization`, `Dropout`, `Activation`, `Flatten`, `GlobalAveragePooling1D` or `GlobalMaxPooling1D`."""
    kind = spec["class"]
    if kind == "Normalization":
        deviation = given.x.new_tensor(spec["variance"]).sqrt().clamp(min=_LEAST_DEVIATION)
        return given.of((given.x - given.x.new_tensor(spec["mean"])) / deviation)
    if kind == "Dropout":
        return given.of(F.dropout(given.x, spec["rate"], is_training))
    if kind == "Activation":
        return given.of(ACTIVATIONS[spec["activation"]](given.x))
    if kind == "Flatten":
        return Sequences(given.x.flatten(1))
    if kind == "GlobalAveragePooling1D":
        seen = given.seen[..., None].to(given.x.dtype)
        return Sequences((given.x * seen).sum(1) / seen.sum(1).clamp(min=1))
    assert kind == "GlobalMaxPooling1D", kind
    assert given.alive is not None
    return Sequences(given.x.masked_fill(~given.alive[..., None], -torch.inf).amax(1))  # Keras looks at padding here, too
