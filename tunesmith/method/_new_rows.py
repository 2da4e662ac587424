"""Training, saving and loading the rows of the tokens that `model.add_tokens` gave a model.

The trunk says which they are in its attribute `new_token_ids`; a trunk without it has none. The rows are part of the model's own matrices, whose other
rows stay as they are: their gradient is set to zero before anything reads it, and nothing decays them.

The format is our own: peft's for single rows (TrainableTokensConfig) puts a module around the embedding, and the engine reads the matrix itself.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import MethodError
from tunesmith.core.types import ParamGroup
from tunesmith.method._base import base_metadata, check_base

__all__ = ["ROWS_FILE", "load_rows", "new_token_ids", "refuse_new_tokens", "save_rows", "train_rows"]

ROWS_FILE = "new_tokens.safetensors"


def new_token_ids(trunk: nn.Module) -> tuple[int, ...]:
    """The tokens that were added for this run; empty where none were."""
    return tuple(getattr(trunk, "new_token_ids", ()))


def refuse_new_tokens(trunk: nn.Module, method: str) -> None:
    """Raises: MethodError, where tokens were added to the model, which this method would leave as they began."""
    if new_token_ids(trunk):
        raise MethodError(f"method: {method} trains no token, and model.add_tokens adds some. Use lora, new_tokens or full.")


def train_rows(trunk: nn.Module) -> list[ParamGroup]:
    """Let the added tokens' rows of the embedding train, and of a vocabulary head that is a matrix of its own.

    Returns: one group with those matrices, never decayed; none where no token was added, or the matrices train whole already.
    """
    ids = new_token_ids(trunk)
    matrices = [matrix for matrix in _matrices(trunk).values() if not matrix.requires_grad] if ids else []
    if not matrices:
        return []
    for matrix in matrices:
        matrix.requires_grad_(True)
        others = torch.ones(matrix.shape[0], dtype=torch.bool)
        others[list(ids)] = False
        matrix.register_post_accumulate_grad_hook(_without(others))  # type: ignore[no-untyped-call]
    return [ParamGroup("new_tokens", matrices, weight_decay=0.0, num_trained=sum(len(ids) * matrix.shape[1] for matrix in matrices))]


def save_rows(trunk: nn.Module, folder: Path) -> None:
    """Write the added tokens' rows, in the order of the tokens, each of shape (tokens, hidden size). Nothing where none were added."""
    ids = list(new_token_ids(trunk))
    if ids:
        folder.mkdir(parents=True, exist_ok=True)
        rows = {name: matrix.detach()[ids].contiguous().cpu() for name, matrix in _matrices(trunk).items()}
        save_file(rows, folder / ROWS_FILE, metadata=base_metadata(trunk))


def load_rows(trunk: nn.Module, folder: Path) -> None:
    """Put the rows that `save_rows` wrote in their places. Raises: MethodError, where they do not fit."""
    ids = list(new_token_ids(trunk))
    if not ids:
        return
    file = folder / ROWS_FILE
    if not file.is_file():
        raise MethodError(f"{file}: no such file, and the model has {len(ids)} added tokens. It was saved by another run.")
    check_base(trunk, file)
    tensors = load_file(file)
    for name, matrix in _matrices(trunk).items():
        rows = tensors.get(name)
        if rows is None or rows.shape != (len(ids), matrix.shape[1]):
            found = "none" if rows is None else f"{tuple(rows.shape)}"
            raise MethodError(
                f"{file}: its rows of the {name} do not fit this model: expected {(len(ids), matrix.shape[1])}, found {found}."
            )
        with torch.no_grad():
            matrix[ids] = rows.to(matrix)


def _matrices(trunk: Any) -> dict[str, nn.Parameter]:
    """The embedding, and the vocabulary head where it is another matrix; rows are tokens in both."""
    found = {"embedding": trunk.get_input_embeddings().weight}
    head = trunk.get_output_embeddings()
    if head is not None and head.weight is not found["embedding"]:
        found["head"] = head.weight
    return found


def _without(others: Tensor) -> Any:
    def hook(matrix: Tensor) -> None:
        if matrix.grad is not None:
            matrix.grad[others.to(matrix.grad.device)] = 0.0

    return hook
