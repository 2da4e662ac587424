"""A tiny language model that goes on as what it reads went on before, and knows nothing else.

Its weights are set, not learned: the two attention heads of an induction circuit. The first layer's head looks at the token before and notes it; the second layer's looks for a
token before which the current one was noted, and answers with it. So `cat good ... cat` goes on with `good`, whichever words these are.

w words    c numbers of a word's code    h hidden size

Source: Olsson et al. (2022), "In-context Learning and Induction Heads", https://arxiv.org/abs/2209.11895.
"""

from itertools import product
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

__all__ = ["WORDS", "reader"]

WORDS = tuple("".join(pair) for pair in product([c + v for c, v in product("bdfgklmn", "ao")], repeat=2))
"""256 words that mean nothing."""
_SPECIAL = ("[PAD]", "[UNK]", "</s>")
_CHAT = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %} </s>{% endif %} {% endfor %}"
_HIDDEN, _HEAD, _CODE = 128, 64, 48
_OWN, _ONE, _NOTE = slice(_CODE), _CODE, slice(_CODE + 1, 2 * _CODE + 1)
"""Where a token's hidden state has its own code, a number that is always 1, and the code of the token before."""
_ROPE = 1e10
"""Turns all but the first of a head's pairs of numbers so slowly that codes can be compared at any distance."""


def reader(folder: Path) -> Path:
    """Write the model and its tokenizer to a folder, as those of a hub."""
    config = transformers.LlamaConfig(
        vocab_size=len(_SPECIAL) + len(WORDS), hidden_size=_HIDDEN, intermediate_size=_HIDDEN, num_hidden_layers=2, num_attention_heads=1,
        num_key_value_heads=1, head_dim=_HEAD, max_position_embeddings=256, rope_theta=_ROPE, tie_word_embeddings=True, eos_token_id=2,
        pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        _set(model)
    model.save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate((*_SPECIAL, *WORDS))}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]", eos_token="</s>")
    tokenizer.chat_template = _CHAT
    tokenizer.save_pretrained(folder)
    return folder


def _set(model: transformers.LlamaForCausalLM) -> None:
    embedding_wh = model.get_input_embeddings().weight
    embedding_wh.zero_()
    embedding_wh[len(_SPECIAL) :, _OWN] = torch.nn.functional.normalize(torch.randn(len(WORDS), _CODE), dim=-1)
    embedding_wh[:, _ONE] = 1.0
    embedding_wh[: len(_SPECIAL), -1] = 1.0  # as long as a word's, and like none of them
    for layer in model.model.layers:
        for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj, layer.self_attn.o_proj, layer.mlp.down_proj):
            linear.weight.zero_()
    notes, finds = (layer.self_attn for layer in model.model.layers)
    in_head, codes = _slow(), torch.eye(_CODE)
    # a query that is turned back by one place points where the key of the place before does
    angles = _ROPE ** (-torch.arange(_HEAD // 2) / (_HEAD // 2))
    notes.q_proj.weight[:, _ONE] = 5.0 * torch.cat([angles.cos(), -angles.sin()])
    notes.k_proj.weight[: _HEAD // 2, _ONE] = 5.0
    notes.v_proj.weight[in_head, _OWN] = codes
    notes.o_proj.weight[_NOTE, in_head] = 0.1 * codes
    finds.q_proj.weight[in_head, _OWN] = 3.0 * codes
    finds.k_proj.weight[in_head, _NOTE] = 3.0 * codes
    finds.v_proj.weight[in_head, _OWN] = codes
    finds.o_proj.weight[_OWN, in_head] = 2.0 * codes


def _slow() -> Tensor:
    """The places of a head's numbers that hardly turn, shape (c,). A pair is a number and the one half a head later."""
    places = torch.arange(_HEAD)
    return places[places % (_HEAD // 2) >= (_HEAD - _CODE) // 2]
