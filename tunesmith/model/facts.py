"""What is known of a model from its config and its modules: shapes, parameters by part, memory and arithmetic to train it."""

import inspect
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from torch import nn

from tunesmith.core.errors import ModelError
from tunesmith.core.types import ModelFacts
from tunesmith.model.source import SourceInfo

__all__ = [
    "MemoryEstimate",
    "MethodKind",
    "count_parts",
    "first_position",
    "flops_per_token",
    "lora_parameters",
    "num_positions",
    "read_facts",
    "training_memory",
]

_UNLIMITED = 1_000_000
_NO_LIMIT_TOKENS = 2048
"""The length assumed of models that state none (relative positions, recurrent ones)."""


def read_facts(
    trunk: nn.Module,
    tokenizer: Any,
    source: SourceInfo,
    *,
    pad_token_id: int,
    is_causal: bool,
    max_length: int | None = None,
) -> ModelFacts:
    """Read a loaded model's facts.

    Raises: ModelError, where `max_length` is more than the model has positions for.
    """
    config: Any = trunk.config
    text = config.get_text_config()
    first = first_position(trunk)
    parts = count_parts(trunk)
    return ModelFacts(
        name=source.name,
        architecture=type(trunk).__name__,
        model_type=str(config.model_type),
        is_causal=is_causal,
        is_encoder_decoder=bool(config.is_encoder_decoder),
        has_lm_head=_vocabulary_head(trunk) is not None,
        hidden_size=int(_first(text, "hidden_size", "d_model", "n_embd", "dim")),
        num_layers=int(_first(text, "num_hidden_layers", "num_layers", "n_layer", "n_layers")),
        vocab_size=int(text.vocab_size),
        max_length=_max_length(text, tokenizer, source, first, max_length),
        first_position=first,
        has_token_types=_has_token_types(trunk),
        pad_token_id=pad_token_id,
        decoder_start_token_id=getattr(config, "decoder_start_token_id", None) if config.is_encoder_decoder else None,
        num_parameters=sum(parts.values()),
        parts=parts,
        num_columns=int(getattr(config, "num_columns", None) or 0),
        columns=tuple(getattr(config, "columns", None) or ()),
    )


def _vocabulary_head(trunk: Any) -> nn.Module | None:
    return trunk.get_output_embeddings() if hasattr(trunk, "get_output_embeddings") else None


def _first(config: Any, *names: str) -> int:
    found = next((getattr(config, name) for name in names if getattr(config, name, None) is not None), None)
    if found is None:
        raise ModelError(f"config.json of a {config.model_type} model has none of {', '.join(names)}. This architecture cannot be used.")
    return int(found)


def first_position(trunk: nn.Module) -> int:
    """The position id of a sequence's first token.

    RoBERTa and its relatives count positions from their padding index on: they are the ones whose table of positions has a padding row.
    """
    for path, module in trunk.named_modules():
        if "position" in path.rpartition(".")[2] and type(module) is nn.Embedding and module.padding_idx is not None:
            return module.padding_idx + 1
    return 0


def _has_token_types(trunk: nn.Module) -> bool:
    """Whether two texts of a pair can be told apart by type: RoBERTa takes types, but has only one."""
    body: Any = getattr(trunk, "base_model", trunk)
    takes = "token_type_ids" in inspect.signature(body.forward).parameters
    return takes and int(getattr(trunk.config, "type_vocab_size", None) or 0) > 1


def _max_length(text: Any, tokenizer: Any, source: SourceInfo, first: int, wanted: int | None) -> int:
    """The most tokens of a sequence: what the model has positions for, or less where its makers say so."""
    limit = _positions(text, first)
    if wanted is not None:
        if limit is not None and wanted > limit:
            raise ModelError(f"model.max_length: {wanted} is more than {source.name} has positions for ({limit}). Take at most {limit}.")
        return wanted
    makers = [
        int(tokenizer.model_max_length) if 0 < tokenizer.model_max_length < _UNLIMITED else None,
        _sentence_length(source.folder),
        limit,
    ]
    return min((value for value in makers if value is not None), default=_NO_LIMIT_TOKENS)


def num_positions(trunk: nn.Module) -> int | None:
    """The most tokens that a model has positions for; None where it states no limit."""
    return _positions(trunk.config.get_text_config(), first_position(trunk))  # type: ignore[union-attr,operator]


def _positions(text: Any, first: int) -> int | None:
    stated = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")]
    positions = next((value for value in stated if isinstance(value, int) and value > 0), None)
    return positions - first if positions is not None else None


def _sentence_length(folder: Path) -> int | None:
    """`max_seq_length` of a sentence-transformers model."""
    try:
        value = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8")).get("max_seq_length")
    except (OSError, ValueError):
        return None
    return value if isinstance(value, int) and value > 0 else None


def count_parts(trunk: nn.Module) -> dict[str, int]:
    """Parameters by part: embeddings, attention, feed_forward, norms, head, other. A tied matrix counts once, as an embedding."""
    parts = dict.fromkeys(("embeddings", "attention", "feed_forward", "norms", "head", "other"), 0)
    head = _vocabulary_head(trunk)
    seen: set[int] = set()
    modules = sorted(trunk.named_modules(), key=lambda pair: not _is_embedding(pair[1]))  # stable: embeddings first, for what is tied
    for path, module in modules:
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                parts["head" if module is head else _part(path.lower(), module)] += parameter.numel()
    return parts


def _is_embedding(module: nn.Module) -> bool:
    return isinstance(module, nn.Embedding) or type(module).__name__.endswith("Embedding")


def _part(path: str, module: nn.Module) -> str:
    names = path.split(".")
    if "norm" in type(module).__name__.lower() or "norm" in names[-1]:
        return "norms"
    if _is_embedding(module):
        return "embeddings"
    if any("attn" in name or "attention" in name for name in names):
        return "attention"
    if any(mixer in path for mixer in ("mixer", "mamba", "ssm", "recurrent")):
        return "other"
    if any(name.isdigit() for name in names):  # in a numbered layer, and neither attention nor norm
        return "feed_forward"
    return "other"


MethodKind = Literal["full", "lora", "head"]


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes that training needs, by what they hold."""

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    allocator_bytes: int
    process_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return sum(getattr(self, part.name) for part in fields(self))


_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1, "rmsprop": 1}
_PROCESS_BYTES = 600 * 2**20
_KEPT_IN_PIECES, _KEPT, _KEPT_OF_OURS = 0.7, 0.2, 0.05
"""Of the activations' bytes: freed blocks of sizes that are not asked for again, which stay with the process. Measured with glibc on Linux, as it is by itself, as the command begins it
(`core/allocator.py`), and where norms and gates are our kernels', which leave no holes."""


def training_memory(
    facts: ModelFacts,
    *,
    num_trainable: int,
    micro_batch_tokens: int,
    method: MethodKind = "lora",
    optimizer: str = "adamw",
    weight_bytes: int = 4,
    num_scored_tokens: int = 0,
    logits_bytes: int = 24 * 2**20,
    recomputed: bool | Literal["feed_forward"] = False,
    int8_base: bool = False,
    num_packed: int = 0,
    packed_bytes: int = 0,
    num_unpacked: int = 0,
    scatters: bool = True,
    num_made_again: tuple[int, int] = (0, 0),
) -> MemoryEstimate:
    """Predict the memory of one training step.

    - weights: parameters x `weight_bytes`, those of attention and feed-forward blocks x 1 with an `int8_base`; of a quantized
      base `packed_bytes` for `num_packed` of them, and one layer's, `num_unpacked`, made anew; gradients: 4 bytes a trainable parameter; moments: two such for Adam, one for SGD with momentum and RMSprop
    - activations, a token and layer: what the backward pass of attention (inputs, q, k, v, output), of the feed-forward block (inputs,
      pre-activation, gate and product: 4/3 of its matrices' width) and of two norms and residuals reads, each in `weight_bytes`. A frozen trunk keeps one layer's;
      where activations are `recomputed`, every layer keeps its input only, and one layer at a time the rest; of feed_forward all but what is as wide as
      the feed-forward block. `num_made_again`: numbers a token of norms and of gates, over all layers, that are made again rather than kept
    - logits of scored tokens: `logits_bytes` at most, as they are made in chunks
    - what the allocator keeps: 0.7 of the activations that are made, be they kept or made again; 0.2 where freed memory does not come to lie in pieces (`scatters`), 0.05 where something is made again, too
    - the process itself: Python, torch and transformers
    """
    layers = max(1, facts.num_layers)
    width = (facts.parts.get("attention", 0) + facts.parts.get("feed_forward", 0) * 4 / 3 + facts.parts.get("other", 0)) / (
        layers * facts.hidden_size
    )
    norms, gates = (0.0, 0.0) if method == "head" or recomputed is True else (weight_bytes * number / layers for number in num_made_again)
    per_layer = weight_bytes * (width + 4 * facts.hidden_size) - norms - gates
    kept_layers = 1 if method == "head" else layers
    activations = int(micro_batch_tokens * per_layer * kept_layers)
    inner = weight_bytes * facts.parts.get("feed_forward", 0) * 4 / 3 / (layers * facts.hidden_size) - gates
    stays = per_layer - inner if recomputed == "feed_forward" else 4 * facts.hidden_size
    kept = min(activations, int(micro_batch_tokens * (per_layer + stays * layers))) if recomputed else activations
    in_int8 = facts.parts.get("attention", 0) + facts.parts.get("feed_forward", 0) if int8_base else 0
    logits = min(logits_bytes, 4 * num_scored_tokens * facts.vocab_size)
    return MemoryEstimate(
        weights_bytes=(facts.num_parameters - in_int8 - num_packed + num_unpacked) * weight_bytes
        + in_int8
        + packed_bytes
        + (num_trainable * 4 if method != "full" else 0),
        gradients_bytes=4 * num_trainable,
        optimizer_bytes=4 * num_trainable * _MOMENTS.get(optimizer, 2),
        activations_bytes=kept + logits,
        allocator_bytes=int((_KEPT_IN_PIECES if scatters else _KEPT_OF_OURS if gates else _KEPT) * activations),
        process_bytes=_PROCESS_BYTES,
    )


def flops_per_token(
    facts: ModelFacts,
    *,
    sequence_length: int,
    method: MethodKind = "lora",
    scored_share: float = 1.0,
    recomputed: bool | Literal["feed_forward"] = False,
) -> float:
    """Floating-point operations to train on one token: 2 a matrix parameter forward, as many for the gradients of what comes before it, as many for its own.

    Args:
        sequence_length: tokens that a token's attention ranges over (half as many in a causal model).
        scored_share: share of tokens that reach the vocabulary head.
        recomputed: whether layers run a second time in the backward pass; feed_forward: two of the three products of a gated feed-forward block do.
    """
    matrices = facts.parts.get("attention", 0) + facts.parts.get("feed_forward", 0) + facts.parts.get("other", 0)
    head = facts.vocab_size * facts.hidden_size * scored_share if facts.has_lm_head else 0.0
    seen = sequence_length / 2 if facts.is_causal else sequence_length
    attention = 4 * seen * facts.hidden_size * facts.num_layers
    passes = {"full": 3, "lora": 2, "head": 1}[method]
    again = 2 * facts.parts.get("feed_forward", 0) * 2 / 3 if recomputed == "feed_forward" else recomputed * (2 * matrices + attention)
    return passes * (2 * (matrices + head) + attention) + again


def lora_parameters(trunk: nn.Module, rank: int) -> int:
    """Parameters of LoRA matrices of `rank` on every linear module inside the layers."""
    count = 0
    head = _vocabulary_head(trunk)
    for module in trunk.modules():
        weight = getattr(module, "weight", None)
        if module is not head and weight is not None and weight.dim() == 2 and not _is_embedding(module):
            count += rank * (weight.shape[0] + weight.shape[1])
    return count
