"""What the methods that learn virtual tokens share: their place in the trunk, and peft's file format.

V virtual tokens    E width of the embedding
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PromptLearningConfig
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import MethodError
from tunesmith.method._base import base_metadata, check_base

__all__ = [
    "LearnedTokens",
    "check_counts",
    "embedding_of",
    "load_vectors",
    "save_vectors",
    "shape_options",
    "text_ids",
    "unfoldable",
    "writes_text",
]

_FILE = "adapter_model.safetensors"
_NAME = "virtual_tokens"


class LearnedTokens(nn.Module):
    """Answers ids below zero in place of the trunk's embedding: id -1 - i with row i of what `encoder` makes of the indices 0..V-1."""

    def __init__(self, encoder: nn.Module, num: int, *, answers: bool = True) -> None:
        """`answers`: whether the vectors stand for the tokens; else they are for the attention layers, and what the embedding says is not read."""
        super().__init__()
        self.encoder = encoder
        self.num = num
        self.answers = answers
        self._ids: Tensor | None = None

    @classmethod
    def put_on(cls, trunk: nn.Module, encoder: nn.Module, num: int, *, answers: bool = True) -> "LearnedTokens":
        """Give `trunk` these learned tokens, as its submodule `virtual_tokens`."""
        learned = cls(encoder, num, answers=answers)
        embedding = embedding_of(trunk)
        embedding.register_forward_pre_hook(learned._before)
        embedding.register_forward_hook(learned._after)
        setattr(trunk, _NAME, learned)
        return learned

    @classmethod
    def of(cls, trunk: nn.Module) -> "LearnedTokens":
        """Those of a trunk."""
        learned = getattr(trunk, _NAME)
        assert isinstance(learned, cls)
        return learned

    def vectors(self) -> Tensor:
        """(V, E)."""
        found: Tensor = self.encoder(torch.arange(self.num, device=next(self.encoder.parameters()).device)[None])[0]
        return found

    def fix(self, vectors_VE: Tensor) -> None:
        """Let the tokens be these vectors from now on, whatever made them before."""
        embedding = nn.Embedding(*vectors_VE.shape)
        embedding.weight = nn.Parameter(vectors_VE.clone())
        self.encoder = embedding

    def _before(self, _module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        self._ids = arguments[0]
        return (arguments[0].clamp(min=0), *arguments[1:])

    def _after(self, _module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        ids, self._ids = self._ids, None
        assert ids is not None
        is_learned = ids < 0
        if not self.answers or not bool(is_learned.any()):
            return output
        return output.index_put(is_learned.nonzero(as_tuple=True), self.vectors().to(output.dtype)[-1 - ids[is_learned]])


def embedding_of(trunk: Any) -> nn.Embedding:
    """The embedding of what the trunk reads. Raises: MethodError, where it reads no tokens."""
    reader = trunk.get_encoder() if trunk.config.is_encoder_decoder else trunk
    embedding = reader.get_input_embeddings() if hasattr(reader, "get_input_embeddings") else None
    if not isinstance(embedding, nn.Embedding):
        raise MethodError("method: virtual tokens need a model with an embedding of tokens, and this one has none. Use lora.")
    return embedding


def check_counts(**counts: int | None) -> None:
    """Raises: MethodError, where an option that is given is no count of at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise MethodError(f"method.{name}: expected at least 1, found {value}.")


def writes_text(trunk: Any) -> bool:
    """Whether the trunk has a vocabulary head."""
    return trunk.get_output_embeddings() is not None


def text_ids(trunk: nn.Module, text: str, option: str) -> list[int]:
    """The tokens of `text`, by the tokenizer that the model came with. Raises: MethodError, where there is none, or the text is empty."""
    ids_of: Callable[[str], list[int]] | None = getattr(trunk, "token_ids_of", None)
    if ids_of is None:
        raise MethodError(f"method.{option}: needs the model's tokenizer, and this model came without one. Leave it out.")
    ids = ids_of(text)
    if not ids:
        raise MethodError(f"method.{option}: {text!r} holds no token. Write a text.")
    return ids


def shape_options(trunk: Any, num_virtual_tokens: int) -> dict[str, Any]:
    """What every config of peft's prompt learning says of the model."""
    config = trunk.config.get_text_config()
    task = "CAUSAL_LM" if writes_text(trunk) else "FEATURE_EXTRACTION"
    return {
        "task_type": "SEQ_2_SEQ_LM" if trunk.config.is_encoder_decoder else task,
        "num_virtual_tokens": num_virtual_tokens,
        "token_dim": embedding_of(trunk).embedding_dim,
        "num_transformer_submodules": 1,
        "num_attention_heads": int(getattr(config, "num_attention_heads", None) or 1),
        "num_layers": int(config.num_hidden_layers),
        "base_model_name_or_path": getattr(trunk, "name_or_path", None),
    }


def unfoldable(folder: Path) -> str:
    """What a saved adapter holds that cannot become part of a model's weights; empty for what can, and where there is none."""
    if (folder / "adapter_config.json").is_file():
        config: Any = PeftConfig.from_pretrained(str(folder))
        return "virtual tokens" if isinstance(config, PromptLearningConfig) else ""
    file = folder / "selected.safetensors"
    if file.is_file():
        with safe_open(file, framework="pt") as opened:
            return "bottleneck adapters" if any(".adapter.down." in name for name in opened.keys()) else ""  # noqa: SIM118  (no mapping)
    return ""


def save_vectors(trunk: nn.Module, vectors: Tensor, config: PromptLearningConfig, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as peft does: what the encoder made, not the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    config.inference_mode = True
    config.save_pretrained(str(folder))
    save_file({"prompt_embeddings": vectors.detach().float().cpu().contiguous()}, folder / _FILE, metadata=base_metadata(trunk))


def load_vectors(trunk: nn.Module, folder: Path, config: PromptLearningConfig, shape: tuple[int, ...]) -> Tensor:
    """What `save_vectors`, or peft, wrote. Raises: MethodError, where it is of another kind or shape."""
    file = folder / _FILE
    if not file.is_file():
        raise MethodError(f"{file}: no such file. It was saved by another method.")
    check_base(trunk, file)
    saved: Any = PeftConfig.from_pretrained(str(folder))
    vectors = load_file(file).get("prompt_embeddings")
    if saved.peft_type != config.peft_type or vectors is None or tuple(vectors.shape) != shape:
        found = "none" if vectors is None else str(tuple(vectors.shape))
        raise MethodError(
            f"{file}: expected virtual tokens of {config.peft_type} of shape {shape}, found {saved.peft_type} of shape {found}."
            " It was made for another model, or with other options."
        )
    return vectors
