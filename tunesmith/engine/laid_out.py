"""A model run over a stream as it is, packed, or over its segments as padded rows.

T tokens of the stream    S segments    L places that the vocabulary head sees    H hidden size    V vocabulary
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch, Stream, chains
from tunesmith.core.types import ModelFacts
from tunesmith.engine.attention import PACKED, attention_implementation
from tunesmith.engine.kernels.varlen_attention import attends_varlen

__all__ = ["Ran", "at_places", "run_packed", "run_padded"]


@dataclass(frozen=True, slots=True)
class Ran:
    """What it said; empty where it says nothing of the kind."""

    last_hidden_state_TH: Tensor
    logits_LV: Tensor
    penalty_T: Tensor
    """Of each token, what the model would have added to the loss while it trains."""


def at_places(x_T: Tensor, places_T: Tensor) -> Tensor:
    """What stands at those places, where there is anything."""
    return x_T[places_T] if len(x_T) else x_T


def _ran(output: Any, gather: Any) -> Ran:
    found = (getattr(output, name, None) for name in ("last_hidden_state", "logits", "penalty"))
    return Ran(*(torch.empty(0) if one is None else gather(one) for one in found))


def run_packed(module: nn.Module, stream: Stream, facts: ModelFacts, implementation: str, arguments: dict[str, Any]) -> Ran:
    """The stream as one sequence, in which attention stays within segments and what they continue."""
    if facts.has_token_types:
        arguments["token_type_ids"] = stream.token_types_T[None]
    if facts.is_causal:
        arguments["use_cache"] = False
    device = stream.tokens_T.device
    if implementation == PACKED and attends_varlen(device) and max(stream.parents) < 0:
        arguments |= {"segment_offsets": torch.tensor(stream.bounds, dtype=torch.int32, device=device), "longest_segment": stream.longest}
    with attention_implementation(module, implementation, stream.longest):
        output = module(
            input_ids=stream.tokens_T[None],
            position_ids=stream.positions_T[None],
            # All ones: with no mask at all transformers would guess at packing from the positions.
            attention_mask=torch.ones_like(stream.tokens_T[None]),
            segment_bounds=torch.tensor(stream.bounds),
            segment_parents=torch.tensor(stream.parents),
            **arguments,
        )
    return _ran(output, lambda x: x[0])


def _padded_rows(stream: Stream, pad_token_id: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The stream as rows, each a segment with the segments that it continues before it.

    Returns: tokens, token types and mask, each (S, longest); and for each token of the stream its row and its column.
    """
    device = stream.tokens_T.device
    bounds = stream.bounds
    indices = [torch.cat([torch.arange(bounds[s], bounds[s + 1], device=device) for s in chain]) for chain in chains(stream.parents)]
    longest = max(len(i) for i in indices)
    tokens = torch.full((len(indices), longest), pad_token_id, device=device)
    types, mask = torch.zeros_like(tokens), torch.zeros_like(tokens)
    rows, columns = list[Tensor](), list[Tensor]()
    for row, index in enumerate(indices):
        tokens[row, : len(index)] = stream.tokens_T[index]
        types[row, : len(index)] = stream.token_types_T[index]
        mask[row, : len(index)] = 1
        own = bounds[row + 1] - bounds[row]
        rows.append(torch.full((own,), row, device=device))
        columns.append(torch.arange(len(index) - own, len(index), device=device))
    return tokens, types, mask, torch.cat(rows), torch.cat(columns)


def run_padded(module: nn.Module, batch: Batch, arguments: dict[str, Any]) -> Ran:
    """Every segment, with those that it continues before it, as a row of its own; of an encoder-decoder with its source."""
    tokens, types, mask, rows_T, columns_T = _padded_rows(batch.stream, batch.facts.pad_token_id)
    if batch.facts.is_causal:
        # Padding stands on the right, where no real token looks; masked, it would leave queries inside a window with nothing to see: NaN.
        mask = torch.ones_like(mask)
    if "past_key_values" in arguments:
        mask = torch.cat([mask.new_ones(len(mask), arguments["past_key_values"].get_seq_length()), mask], 1)
    if batch.facts.is_encoder_decoder:
        assert batch.source is not None, "an encoder-decoder reads a source"
        source, _, source_mask, _, _ = _padded_rows(batch.source, batch.facts.pad_token_id)
        arguments |= {"input_ids": source, "attention_mask": source_mask, "decoder_input_ids": tokens}
    else:
        arguments |= {"input_ids": tokens, "attention_mask": mask}
        if batch.facts.has_token_types:
            arguments["token_type_ids"] = types
    if batch.stream.vectors_TC is not None:
        vectors = batch.stream.vectors_TC
        laid = vectors.new_zeros(*tokens.shape, vectors.shape[1])
        laid[rows_T, columns_T] = vectors
        arguments = {**arguments, "input_ids": None, "inputs_embeds": laid}
    if batch.facts.is_causal or batch.facts.is_encoder_decoder:
        arguments["use_cache"] = False
    return _ran(module(**arguments), lambda x: x[rows_T, columns_T])
