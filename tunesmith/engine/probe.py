"""Which of the two attention paths, and which head, a model can be run with: found by running it, not by a list of names."""

from typing import Literal

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch, collate
from tunesmith.core.errors import Interrupted, ModelError
from tunesmith.core.types import ModelFacts, Origin, Row, Segment, Targets
from tunesmith.engine.attention import attention_calls
from tunesmith.engine.cached import Cache
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.kernels.linear import is_linear

__all__ = ["caches_exactly", "near", "probe"]

_LENGTHS = (11, 5, 17)
_TOLERANCE = {torch.float64: 1e-5, torch.float32: 2e-4, torch.bfloat16: 6e-2, torch.float16: 2e-2}
_ROUNDED_TOLERANCE = 0.2
"""The last bit of a number decides which way it is rounded to int8, and layer by layer that grows."""


def probe(trunk: nn.Module, facts: ModelFacts, attention: Literal["auto", "packed", "padded"] = "auto") -> Paths:
    """Run the real weights over three unequal segments, packed and one at a time, and compare.

    Raises: ModelError, where `packed` is asked for and is not exact on this model.
    """
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.no_grad():
            reason, hidden_TH = ("asked for by the recipe", None) if attention == "padded" else _why_not_packed(trunk, facts)
            if attention == "packed" and reason:
                raise ModelError(f"{facts.name}: model.attention: packed is not exact on this model ({reason}). Use auto or padded.")
            kind: Literal["packed", "padded"] = "padded" if reason else "packed"
            paths = Paths(kind, reason or "equals one sequence at a time, tried on these weights", "none", "")
            if not facts.has_lm_head:
                return paths
            why = _why_not_fused(trunk, facts, paths, hidden_TH)
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


def _why_not_packed(trunk: nn.Module, facts: ModelFacts) -> tuple[str, Tensor | None]:
    """Returns: the reason why the packed path is not exact on this model, empty where it is; and then the hidden states of `_rows`."""
    if facts.is_encoder_decoder:
        return "an encoder-decoder", None
    if facts.num_columns:
        return "it reads numbers, not tokens", None
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
        return f"its attention cannot be packed: {type(error).__name__}: {error}".splitlines()[0][:160], None
    if attention_calls() - calls - 1 < facts.num_layers:  # looking counts too
        return "its attention does not go through transformers' attention interface", None
    alone = torch.cat([padded.hidden(collate([row], facts).to(device)) for row in rows])
    if near(together, alone):
        return "", together
    return f"packed hidden states differ by {(together - alone).abs().max():.2g} from one sequence at a time", None


def _why_not_fused(trunk: nn.Module, facts: ModelFacts, paths: Paths, hidden_TH: Tensor | None) -> str:
    """The reason why hidden states times the head's matrix are not the model's logits; empty where they are. `hidden_TH`: of `_rows`, where they are known."""
    if facts.is_encoder_decoder:
        return "an encoder-decoder"
    if not is_linear(trunk.get_output_embeddings()):  # type: ignore[operator]
        return "its vocabulary head is not a plain linear layer"
    if trunk.get_output_embeddings().in_features != facts.hidden_size:  # type: ignore[operator]
        return "its vocabulary head reads vectors of another width"
    batch: Batch = collate(_rows(facts), facts).to(next(trunk.parameters()).device)
    forward = PackedForward(trunk, {}, facts, paths)
    hidden_TH = forward.hidden(batch) if hidden_TH is None else hidden_TH
    logits: Tensor = trunk.get_output_embeddings()(hidden_TH[batch.predict_N])  # type: ignore[operator]
    return "" if near(logits, forward._own_logits(batch)) else "the model scales, caps or shifts its logits"


def caches_exactly(forward: PackedForward) -> bool:
    """Whether the model, adapters and all, says the same with cached keys and values as it does without: tried once, on the real weights."""
    if forward.caches_exactly is None:
        forward.caches_exactly = forward.paths.attention == "packed" and _steps_agree(forward)
    return forward.caches_exactly


@torch.no_grad()
def _steps_agree(forward: PackedForward) -> bool:
    sequences = [row.segments[0].tokens for row in _rows(forward.facts)]
    num_steps = min(2, min(map(len, sequences)) - 1)
    cache = Cache(forward)
    cache.resize(len(sequences), max(map(len, sequences)) + len(forward.virtual_ids))
    try:
        found = [cache.start([(*forward.virtual_ids, *tokens[: len(tokens) - num_steps]) for tokens in sequences], range(len(sequences)))]
        found += [cache.step([tokens[left] for tokens in sequences]) for left in range(-num_steps, 0)]
    except Interrupted:
        raise
    except Exception:  # whatever a model's own code raises: it does not run this way
        return False
    targets = [tuple(range(len(tokens) - num_steps - 1, len(tokens))) for tokens in sequences]
    rows = [
        Row((Segment(tokens),), Origin("probe", 1), Targets(at, at, (1.0,) * len(at), (0,) * len(at)))
        for tokens, at in zip(sequences, targets, strict=True)
    ]
    expected = forward._own_logits(collate(rows, forward.facts).to(forward.device))
    return near(torch.stack(found, 1).flatten(0, 1), expected, is_rounded=forward.is_rounded)


def near(found: Tensor, expected: Tensor, *, is_rounded: bool = False) -> bool:
    """Whether hidden states, or logits, are the same up to the rounding of their type; with `is_rounded`, of products in int8 too."""
    if found.shape != expected.shape or not torch.isfinite(expected).all():
        return False
    return bool(
        (found - expected).abs().max()
        <= (_ROUNDED_TOLERANCE if is_rounded else _TOLERANCE[expected.dtype]) * expected.abs().max().clamp(min=1e-3)
    )
