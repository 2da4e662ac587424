"""The model that every side trains and that a checkpoint is scored with: plain transformers and peft, and a plain head for classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from benchmarks.workload import Settings, TokenRow

__all__ = ["HEAD", "Classifier", "load_base", "load_model", "save_model", "score"]

HEAD = "head.safetensors"


class Classifier(nn.Module):
    """A trunk, the mean of its last hidden states, and a linear layer."""

    def __init__(self, trunk: Any, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.config = trunk.config
        self.head = nn.Linear(trunk.config.hidden_size, num_classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Logits of every row, and where labels are given the mean of the cross-entropies."""
        hidden = self.trunk(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(hidden.dtype)
        logits = self.head((hidden * mask).sum(1) / mask.sum(1))
        return {"logits": logits} if labels is None else {"loss": F.cross_entropy(logits, labels), "logits": logits}


def load_base(settings: Settings, folder: str | Path) -> Any:
    """The model of `folder`, float32, without the head that a benchmark puts on it."""
    if settings.task == "language_model":
        return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    # BERT's pooler would hold parameters that nothing uses
    options = {"add_pooling_layer": False} if AutoConfig.from_pretrained(str(folder)).model_type == "bert" else {}
    return AutoModel.from_pretrained(str(folder), dtype=torch.float32, **options)


def load_model(settings: Settings, folder: Path, *, is_trainable: bool) -> Any:
    """What trains: the base model with the adapter and the head of `folder`, or with the weights that full training left there."""
    is_whole = settings.method == "full" and (folder / "config.json").exists()
    model = load_base(settings, folder if is_whole else settings.model)
    if settings.method == "lora":
        model = peft.PeftModel.from_pretrained(model, str(folder), is_trainable=is_trainable)
    elif settings.method == "head":
        model.requires_grad_(False)
    if settings.task == "classification":
        model = Classifier(model, settings.num_classes)
        model.head.load_state_dict(load_file(folder / HEAD))
    return model


def save_model(settings: Settings, model: Any, folder: Path) -> None:
    """Write what trained, as `load_model` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    if settings.task == "classification":
        save_file({name: tensor.detach().contiguous() for name, tensor in model.head.state_dict().items()}, folder / HEAD)
        model = model.trunk
    if settings.method != "head":
        model.save_pretrained(str(folder))


def score(settings: Settings, folder: Path, rows: Sequence[TokenRow]) -> tuple[float, float | None]:
    """Of a saved checkpoint, row by row, no padding, no packing. Returns: nats a target, and the accuracy of a classifier."""
    model = load_model(settings, folder, is_trainable=False).eval()
    total, num_right = 0.0, 0
    with torch.no_grad():
        for row in rows:
            tokens = torch.tensor(row.tokens)
            if settings.task == "classification":
                logits: Tensor = model(tokens[None], torch.ones_like(tokens[None]))["logits"]
                total += float(F.cross_entropy(logits, torch.tensor([row.label])))
                num_right += int(logits.argmax()) == row.label
            else:
                scored = torch.tensor(row.scored)
                logits = model(input_ids=tokens[None]).logits[0]
                total += float(F.cross_entropy(logits[scored - 1], tokens[scored], reduction="sum"))
    accuracy = num_right / len(rows) if settings.task == "classification" else None
    return total / sum(row.num_targets for row in rows), accuracy
