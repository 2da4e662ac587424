"""Which of the two attention paths, and which head, a model can be run with: found by running it, not by a list of names."""

from typing import Literal

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import Interrupted, ModelError
from tunesmith.core.types import ModelFacts, Origin, Row, Segment, Targets
from tunesmith.engine.attention import attention_calls
from tunesmith.engine.forward import PackedForward, Paths

__all__ = ["near", "probe"]

_LENGTHS = (11, 5, 17)
_TOLERANCE = {torch.float64: 1e-5, torch.float32: 2e-4, torch.bfloat16: 6e-2, torch.float16: 2e-2}


def probe(trunk: nn.Module, facts: ModelFacts, attention: Literal["auto", "packed", "padded"] = "auto") -> Paths:
    """Run the real weights over three unequal segments, packed and one at a time, and compare.

    Raises: ModelError, where `packed` is asked for and is not exact on this model.
    """
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.no_grad():
            reason = "asked for by the recipe" if attention == "padded" else _why_not_packed(trunk, facts)
            if attention == "packed" and reason:
                raise ModelError(f"{facts.name}: model.attention: packed is not exact on this model ({reason}). Use auto or padded.")
            kind: Literal["packed", "padded"] = "padded" if reason else "packed"
            paths = Paths(kind, reason or "equals one sequence at a time, tried on these weights", "none", "")
            if not facts.has_lm_head:
                return paths
            why = _why_not_fused(trunk, facts, paths)
            return Paths(
                kind,
                paths.attention_reason,
                "model" if why else "fused",
                why or "hidden states times the head equal the model's own logits",
            )
    finally:
        trunk.train(was_training)


def _rows(facts: ModelFacts) -> list[Row]:
    draw = torch.Generator().manual_seed(0)
    rows = []
    for length in _LENGTHS:
        length = min(length, facts.max_length)
        tokens = torch.randint(max(facts.pad_token_id + 1, 1) % facts.vocab_size, facts.vocab_size, (length,), generator=draw)
        tokens = torch.where(tokens == facts.pad_token_id, (tokens + 1) % facts.vocab_size, tokens)
        positions = tuple(range(0, length - 1, 3))
        segment = Segment(tuple(tokens.tolist()))
        targets = Targets(positions, tuple(int(tokens[p + 1]) for p in positions), (1.0,) * len(positions), (0,) * len(positions))
        rows.append(Row((segment,), Origin("probe", 1), targets, source=segment if facts.is_encoder_decoder else None))
    return rows


def _why_not_packed(trunk: nn.Module, facts: ModelFacts) -> str:
    """The reason why the packed path is not exact on this model; empty where it is."""
    if facts.is_encoder_decoder:
        return "an encoder-decoder"
    device = next(trunk.parameters()).device
    rows = _rows(facts)
    packed = PackedForward(trunk, {}, facts, Paths("packed", "", "none", ""))
    padded = PackedForward(trunk, {}, facts, Paths("padded", "", "none", ""))
    calls = attention_calls()
    try:
        together = packed.hidden(collate(rows, facts).to(device))
    except Interrupted:
        raise
    except Exception as error:  # whatever a model's own code raises: it does not run packed
        return f"its attention cannot be packed: {type(error).__name__}: {error}".splitlines()[0][:160]
    if attention_calls() - calls - 1 < facts.num_layers:  # looking counts too
        return "its attention does not go through transformers' attention interface"
    alone = torch.cat([padded.hidden(collate([row], facts).to(device)) for row in rows])
    return (
        "" if near(together, alone) else f"packed hidden states differ by {(together - alone).abs().max():.2g} from one sequence at a time"
    )


def _why_not_fused(trunk: nn.Module, facts: ModelFacts, paths: Paths) -> str:
    """The reason why hidden states times the head's matrix are not the model's logits; empty where they are."""
    if facts.is_encoder_decoder:
        return "an encoder-decoder"
    if type(trunk.get_output_embeddings()) is not nn.Linear:  # type: ignore[operator]
        return "its vocabulary head is not a plain linear layer"
    batch: Batch = collate(_rows(facts), facts).to(next(trunk.parameters()).device)
    forward = PackedForward(trunk, {}, facts, paths)
    logits: Tensor = trunk.get_output_embeddings()(forward.hidden(batch)[batch.predict_N])  # type: ignore[operator]
    return "" if near(logits, forward._own_logits(batch)) else "the model scales, caps or shifts its logits"


def near(found: Tensor, expected: Tensor) -> bool:
    """Whether hidden states, or logits, are the same up to the rounding of their type."""
    if found.shape != expected.shape or not torch.isfinite(expected).all():
        return False
    return bool((found - expected).abs().max() <= _TOLERANCE[expected.dtype] * expected.abs().max().clamp(min=1e-3))
