"""New heads on a trunk: they read hidden states of a packed stream.

T tokens of the stream    A answers    N scored positions    H hidden size
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import RunError, one_line
from tunesmith.core.files import staged_file, write_json

__all__ = ["Head", "load_heads", "save_heads", "write_label_map"]

_INIT_STD = 0.02
_NEVER = -1e4
"""The logit of a class that a head does not know."""


class Head(nn.Module):
    """`num_layers` linear layers, tanh or GELU between them, on one vector: a segment's first, mean or last hidden state, or that of a position.

    `concat` reads the last, the largest and the mean hidden state side by side, 3 H numbers; layers but the last make H. Source: Howard and Ruder (2018),
    https://arxiv.org/abs/1801.06146, section 3.3.

    Weights begin normal with standard deviation 0.02, biases zero; seed torch before making one.
    """

    def __init__(
        self,
        name: str,
        hidden_size: int,
        num_outputs: int,
        *,
        pooling: Literal["first", "mean", "last", "concat"] = "mean",
        num_layers: int = 1,
        activation: Literal["tanh", "gelu"] = "tanh",
        dropout: float = 0.0,
        shift: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
    ) -> None:
        """Outputs are `shift + scale * (what the layers say)`, each of them one number, or one an output. Raises: ValueError, where a number is out of its range."""
        super().__init__()
        if num_outputs < 1 or num_layers < 1 or not 0 <= dropout < 1 or pooling not in ("first", "mean", "last", "concat"):
            raise ValueError(
                f"head {name}: num_outputs {num_outputs}, num_layers {num_layers}, dropout {dropout}, pooling {pooling}: out of range"
            )
        self.name, self.hidden_size, self.num_outputs = name, hidden_size, num_outputs
        self.pooling, self.num_layers, self.activation, self.dropout = pooling, num_layers, activation, dropout
        self.shift, self.scale = (float(unit) if isinstance(unit, int | float) else tuple(map(float, unit)) for unit in (shift, scale))
        widths = [3 * hidden_size if pooling == "concat" else hidden_size, *[hidden_size] * (num_layers - 1), num_outputs]
        self.layers = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in pairwise(widths))
        self._act = nn.Tanh() if activation == "tanh" else nn.GELU()
        self._drop = nn.Dropout(dropout)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=_INIT_STD)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden_TH: Tensor, bounds: Sequence[int], segments_A: Tensor) -> Tensor:
        """Outputs read from whole segments, (A, num_outputs), in the dtype of the head's weights; arguments as `pool`."""
        return self.read(self.pool(hidden_TH, bounds, segments_A))

    def pool(self, hidden_TH: Tensor, bounds: Sequence[int], segments_A: Tensor) -> Tensor:
        """One vector a segment; no weight of the head takes part.

        Args:
            hidden_TH: last hidden states of the stream.
            bounds: segment s is `[bounds[s], bounds[s + 1])`; what it continues is not read.
            segments_A: the segment of each answer.
        Returns: (A, H), or (A, 3 H).
        """
        bounds_S1 = torch.tensor(bounds, device=hidden_TH.device)
        starts_A, ends_A = bounds_S1[segments_A], bounds_S1[segments_A + 1]
        if self.pooling == "first":
            return hidden_TH[starts_A]
        if self.pooling == "last":
            return hidden_TH[ends_A - 1]
        num_segments = len(bounds) - 1
        wide = torch.promote_types(hidden_TH.dtype, torch.float32)  # sums in at least float32, whatever the states are in
        segment_of_T = torch.repeat_interleave(torch.arange(num_segments, device=hidden_TH.device), bounds_S1.diff())
        sums_SH = torch.zeros(num_segments, hidden_TH.shape[1], dtype=wide, device=hidden_TH.device).index_add(
            0, segment_of_T, hidden_TH.to(wide)
        )
        means_AH = (sums_SH / bounds_S1.diff().clamp(min=1)[:, None].to(wide))[segments_A]
        if self.pooling == "mean":
            return means_AH
        lowest_SH = torch.full_like(hidden_TH[:1], float("-inf")).expand(num_segments, -1)
        largest_SH = lowest_SH.scatter_reduce(0, segment_of_T[:, None].expand_as(hidden_TH), hidden_TH, "amax")
        return torch.cat([hidden_TH[ends_A - 1], largest_SH[segments_A], means_AH.to(hidden_TH.dtype)], 1)

    def at_positions(self, hidden_TH: Tensor, predict_N: Tensor) -> Tensor:
        """Outputs read at single positions, (N, num_outputs)."""
        return self.read(hidden_TH[predict_N])

    def read(self, vectors: Tensor) -> Tensor:
        """Outputs of vectors (n, H), (n, num_outputs)."""
        x = vectors.to(self.layers[0].weight.dtype)  # type: ignore[arg-type]
        for layer in self.layers[:-1]:
            x = self._act(layer(self._drop(x)))
        outputs: Tensor = self.layers[-1](self._drop(x))
        if (self.shift, self.scale) == (0.0, 1.0):
            return outputs
        shift, scale = (outputs.new_tensor(unit) if isinstance(unit, tuple) else unit for unit in (self.shift, self.scale))
        return outputs * scale + shift

    def take_over(self, other: "Head", fresh: Sequence[int] = ()) -> None:
        """Answer as `other` does, which has the same layers, whatever its shift and scale; outputs in `fresh` stay as they began."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        places = torch.tensor(list(fresh), dtype=torch.long, device=last.weight.device)
        own_weight, own_bias = last.weight.detach()[places], last.bias.detach()[places]
        self.load_state_dict(other.state_dict())
        with torch.no_grad():
            (shift, scale), (own_shift, own_scale) = (
                (torch.tensor(unit, dtype=torch.float64, device=last.bias.device) for unit in (head.shift, head.scale))
                for head in (other, self)
            )
            last.weight.mul_((scale / own_scale).reshape(-1, 1))
            last.bias.mul_(scale / own_scale).add_((shift - own_shift) / own_scale)
            last.weight[places], last.bias[places] = own_weight, own_bias

    def rearranged(self, places: Sequence[int | None]) -> "Head":
        """A head whose output i is this one's output `places[i]`; where that is None it is so low that a class is never said. For heads of classes, which have no units."""
        assert (self.shift, self.scale) == (0.0, 1.0)
        made = Head(**{**self.settings, "num_outputs": len(places)})
        made.layers[:-1].load_state_dict(self.layers[:-1].state_dict())
        last, own = made.layers[-1], self.layers[-1]
        assert isinstance(last, nn.Linear)
        assert isinstance(own, nn.Linear)
        with torch.no_grad():
            for place, source in enumerate(places):
                last.weight[place] = 0.0 if source is None else own.weight[source]
                last.bias[place] = _NEVER if source is None else own.bias[source]
        return made

    @property
    def settings(self) -> dict[str, Any]:
        """What it takes to make the same head again, without its weights."""
        names = ("name", "hidden_size", "num_outputs", "pooling", "num_layers", "activation", "dropout", "shift", "scale")
        return {name: getattr(self, name) for name in names}


def write_label_map(config: Any, labels: Sequence[str]) -> None:
    """Put class names into a transformers config: id2label, label2id and num_labels."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.num_labels = len(labels)


def save_heads(
    heads: Mapping[str, nn.Module], labels: Sequence[str], file: Path, config_file: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write the weights of `heads` to `file` (safetensors) and how they are built, with the labels, to `config_file` (JSON).

    Args:
        metadata: what `file` says of itself.
    """
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous() for name, head in heads.items() for key, tensor in head.state_dict().items()
    }
    described = {name: head.settings for name, head in heads.items() if isinstance(head, Head)}
    id2label, label2id = {str(index): label for index, label in enumerate(labels)}, {label: index for index, label in enumerate(labels)}
    with staged_file(file) as staged:
        save_file(tensors, staged, metadata={"format": "pt", **(metadata or {})})
    write_json(config_file, {"heads": described, "id2label": id2label, "label2id": label2id})


def load_heads(file: Path, config_file: Path) -> tuple[dict[str, Head], tuple[str, ...]]:
    """The heads that `save_heads` wrote, in evaluation mode, and the labels. Raises: RunError, where the files are missing or broken."""
    try:
        described = json.loads(config_file.read_text(encoding="utf-8"))
        labels = tuple(described["id2label"][str(index)] for index in range(len(described["id2label"])))
        heads = {name: Head(**settings) for name, settings in described["heads"].items()}
        tensors = load_file(file)
        for name, head in heads.items():
            head.load_state_dict({key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")})
            head.eval()
    except FileNotFoundError as error:
        raise RunError(f"{error.filename or file}: no such file; the run has no head. Run it again.") from None
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        raise RunError(f"{file}: the head cannot be read ({one_line(error, 200)}). Run it again.") from None
    return heads, labels
