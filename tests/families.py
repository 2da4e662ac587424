"""Tiny random models of many families, made from their configs: no download, a few thousand parameters each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from torch import nn

from tunesmith.core.types import ModelFacts, Origin, Row, Segment, Targets
from tunesmith.model.networks.attending import AttendingConfig, AttendingForConditionalGeneration
from tunesmith.model.networks.recurrent import RecurrentConfig, RecurrentForCausalLM

__all__ = ["CAUSAL", "ENCODERS", "ENCODER_DECODERS", "PADDED_ONLY", "facts_of", "make", "random_rows"]

_VOCAB = 97
_LLAMA = dict(
    vocab_size=_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
_BERT = dict(
    vocab_size=_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=66, pad_token_id=0,
)  # fmt: skip


def _llama_like(prefix: str, **more: Any) -> Callable[[], nn.Module]:
    config_class, model_class = getattr(transformers, f"{prefix}Config"), getattr(transformers, f"{prefix}ForCausalLM")
    return lambda: model_class(config_class(**{**_LLAMA, **more}))


def _bert_like(prefix: str, **more: Any) -> Callable[[], nn.Module]:
    config_class, model_class = getattr(transformers, f"{prefix}Config"), getattr(transformers, f"{prefix}Model")
    return lambda: model_class(config_class(**{**_BERT, **more}))


def _own(prefix: str, suffix: str, **config: Any) -> Callable[[], nn.Module]:
    config_class, model_class = getattr(transformers, f"{prefix}Config"), getattr(transformers, prefix + suffix)
    return lambda: model_class(config_class(**config))


_GPT2 = dict(vocab_size=_VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2)
_SPECIAL = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)

CAUSAL: dict[str, Callable[[], nn.Module]] = {
    "llama": _llama_like("Llama"),
    "mistral": _llama_like("Mistral", sliding_window=4, head_dim=8),
    "qwen2": _llama_like("Qwen2"),
    "qwen3": _llama_like("Qwen3", head_dim=8),
    "gemma2": _llama_like("Gemma2", head_dim=8, sliding_window=4, query_pre_attn_scalar=8, attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "gemma3": lambda: transformers.Gemma3ForCausalLM(
        transformers.Gemma3TextConfig(**_LLAMA, head_dim=8, sliding_window=4, query_pre_attn_scalar=8)  # type: ignore[arg-type]
    ),
    "gpt_oss": _llama_like("GptOss", head_dim=8, sliding_window=4, num_local_experts=2, num_experts_per_tok=1),
    "phi": _llama_like("Phi"),
    "granite": _llama_like("Granite", logits_scaling=4.0, embedding_multiplier=2.0, residual_multiplier=0.5),
    "olmo2": _llama_like("Olmo2"),
    "cohere": _llama_like("Cohere", logit_scale=0.25),
    "smollm3": _llama_like("SmolLM3"),
    "gpt_neox": _llama_like("GPTNeoX"),
    "gpt2": _own("GPT2", "LMHeadModel", **_GPT2),
    "opt": _own("OPT", "ForCausalLM", vocab_size=_VOCAB, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
                max_position_embeddings=64, word_embed_proj_dim=32, **_SPECIAL),
    "bloom": _own("Bloom", "ForCausalLM", vocab_size=_VOCAB, hidden_size=32, n_layer=2, n_head=4, **_SPECIAL),
    "falcon": _own("Falcon", "ForCausalLM", vocab_size=_VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, **_SPECIAL),
    "gptj": _own("GPTJ", "ForCausalLM", vocab_size=_VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=4, bos_token_id=1, eos_token_id=2),
    "gpt_neo": _own("GPTNeo", "ForCausalLM", vocab_size=_VOCAB, hidden_size=32, num_layers=2, num_heads=4, max_position_embeddings=64,
                    attention_types=[[["global", "local"], 1]], window_size=4, bos_token_id=1, eos_token_id=2),
    "mpt": _own("Mpt", "ForCausalLM", vocab_size=_VOCAB, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
    "lstm": lambda: RecurrentForCausalLM(
        RecurrentConfig(vocab_size=_VOCAB, embedding_size=32, inner_size=24, hidden_size=32, num_hidden_layers=2, **_SPECIAL)
    ),
    "mamba": _own("Mamba", "ForCausalLM", vocab_size=_VOCAB, hidden_size=32, num_hidden_layers=2, state_size=4, **_SPECIAL),
}  # fmt: skip

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "bert": _bert_like("Bert"),
    "roberta": _bert_like("Roberta", pad_token_id=1, bos_token_id=0, eos_token_id=2),
    "distilbert": _own("DistilBert", "Model", vocab_size=_VOCAB, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=64),
    "electra": _bert_like("Electra", embedding_size=16),
    "albert": _bert_like("Albert", embedding_size=16),
    "modernbert": _own("ModernBert", "Model", **_BERT, local_attention=6, global_attn_every_n_layers=2, cls_token_id=1, sep_token_id=2,
                       bos_token_id=1, eos_token_id=2),
    "deberta_v2": _bert_like("DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0),
    "mpnet": _own("MPNet", "Model", **{**_BERT, "pad_token_id": 1}, bos_token_id=0, eos_token_id=2),
    "xlnet": _own("XLNet", "Model", vocab_size=_VOCAB, d_model=32, n_layer=2, n_head=4, d_inner=48, pad_token_id=5, bos_token_id=1, eos_token_id=2),
}  # fmt: skip

ENCODER_DECODERS: dict[str, Callable[[], nn.Module]] = {
    "t5": _own("T5", "ForConditionalGeneration", vocab_size=_VOCAB, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, pad_token_id=0,
               eos_token_id=1, decoder_start_token_id=0),
    "attending": lambda: AttendingForConditionalGeneration(
        AttendingConfig(
            vocab_size=_VOCAB, embedding_size=16, hidden_size=32, num_hidden_layers=2, decoder_start_token_id=1, **_SPECIAL
        )
    ),
    "bart": _own("Bart", "ForConditionalGeneration", vocab_size=_VOCAB, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                 decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, pad_token_id=1, bos_token_id=0,
                 eos_token_id=2, decoder_start_token_id=2),
}  # fmt: skip

PADDED_ONLY = frozenset(
    {"bloom", "falcon", "gptj", "gpt_neo", "mpt", "lstm", "mamba", "deberta_v2", "mpnet", "xlnet", "t5", "bart", "attending"}
)
"""Families whose attention cannot be packed; the probe has to send them to the padded path."""


def make(name: str, dtype: torch.dtype = torch.float32, *, scale: float = 4.0) -> nn.Module:
    """A seeded tiny model whose weights are `scale` times their first ones: large enough that attention matters."""
    torch.manual_seed(0)
    model = {**CAUSAL, **ENCODERS, **ENCODER_DECODERS}[name]().to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return model


def facts_of(name: str, model: nn.Module) -> ModelFacts:
    """The facts of a tiny model, written down by hand."""
    config: Any = model.config
    return ModelFacts(
        name=name,
        architecture=type(model).__name__,
        model_type=config.model_type,
        is_causal=name in CAUSAL,
        is_encoder_decoder=name in ENCODER_DECODERS,
        has_lm_head=name not in ENCODERS,
        hidden_size=32,
        num_layers=2,
        vocab_size=_VOCAB,
        max_length=60,
        first_position=2 if name in ("roberta", "mpnet") else 0,
        has_token_types=name in ("bert", "electra", "albert"),
        pad_token_id=getattr(config, "pad_token_id", None) or 0,
        decoder_start_token_id=getattr(config, "decoder_start_token_id", None),
        num_parameters=sum(p.numel() for p in model.parameters()),
        parts={},
    )


def random_rows(lengths: Sequence[int], facts: ModelFacts, *, seed: int = 0, label: int | None = None) -> list[Row]:
    """Rows of random tokens, the second half of each one scored; a label each where `label` classes are asked for."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for number, length in enumerate(lengths):
        tokens = tuple(torch.randint(6, _VOCAB, (length,), generator=draw).tolist())
        positions = tuple(range(length // 2, length - 1))
        targets = Targets(positions, tuple(tokens[p + 1] for p in positions), (1.0,) * len(positions), (0,) * len(positions))
        values = {} if label is None else {"label": (number % label,)}
        segment = Segment(tokens)
        rows.append(
            Row((segment,), Origin("random", number + 1), targets, values=values, source=segment if facts.is_encoder_decoder else None)
        )
    return rows
