"""More tokens for a model than its makers gave it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from tokenizers import AddedToken

from tunesmith.core.errors import ModelError
from tunesmith.model._quiet import quiet
from tunesmith.model.facts import read_facts
from tunesmith.model.load import LoadedModel

__all__ = ["grow"]


def grow(model: LoadedModel, pieces: Mapping[str, Sequence[int]]) -> LoadedModel:
    """Add tokens to the tokenizer, in place, and rows for them to the embedding and the vocabulary head.

    A row begins as the mean of the rows of the pieces that its text was before. The trunk's `new_token_ids` are the added ones.

    Args:
        pieces: text of a new token, with the space before it where that belongs to it -> the tokens that it was.
    Returns: the model with the facts of its larger vocabulary.
    Raises: ModelError, where the tokenizer does not give a text back from its new token.
    Source: after Hewitt (2021), "Initializing New Word Embeddings for Pretrained Language Models",
        https://nlp.stanford.edu/~johnhew/vocab-expansion.html, who begins with the mean of all rows; here it is that of the text's own.
    """
    trunk: Any = model.trunk
    tokenizer: Any = model.tokenizer
    before = {text: tokenizer.decode(list(ids)) for text, ids in pieces.items()}
    # a token with its own space is matched as it stands; one without must not be found inside of a longer word
    tokenizer.add_tokens([AddedToken(text, normalized=text[0].isalnum(), single_word=text[0].isalnum()) for text in pieces])
    ids = [int(tokenizer.convert_tokens_to_ids(text)) for text in pieces]
    broken = next((text for text, new in zip(pieces, ids, strict=True) if tokenizer.decode([new]).strip() != before[text].strip()), None)
    if broken is not None:
        raise ModelError(
            f"model.add_tokens: {broken.strip()!r} comes back as {tokenizer.decode([tokenizer.convert_tokens_to_ids(broken)])!r} from this model's tokenizer. "
            "It cannot take such tokens; leave the text out."
        )
    with quiet():
        if len(tokenizer) > trunk.get_input_embeddings().weight.shape[0]:
            trunk.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    embedding, head = trunk.get_input_embeddings().weight, trunk.get_output_embeddings()
    matrices = [embedding, *([head.weight] if head is not None and head.weight is not embedding else [])]
    with torch.no_grad():
        for matrix in matrices:
            for new, old in zip(ids, pieces.values(), strict=True):
                matrix[new] = matrix[list(old)].mean(0)
    trunk.new_token_ids = tuple(ids)
    facts = model.facts
    read = read_facts(
        trunk, tokenizer, model.source, pad_token_id=facts.pad_token_id, is_causal=facts.is_causal, max_length=facts.max_length
    )
    return replace(model, facts=read)
