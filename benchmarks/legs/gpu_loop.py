"""What transformers' Trainer does with peft and `bf16=True`, as a plain loop, so that it needs neither accelerate nor anything else.

Its best form: rows of like length share a batch, nothing is computed again in the backward pass, a fused optimizer, and FlashAttention where it
is installed, else torch's own attention.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from benchmarks.gpu import LEARNING_RATE, LORA_ALPHA, LORA_R, Setup
from benchmarks.legs._llama import Stopwatch, base_model, device, main, set_start, steps
from benchmarks.legs._trainer import NOT_SCORED, labels, padded
from benchmarks.workload import Measured, TokenRow


def _attention() -> str:
    has_flash = device().type == "cuda" and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if has_flash else "sdpa"


def _batch(chosen: Sequence[TokenRow]) -> dict[str, Tensor]:
    found = {
        "input_ids": padded([row.tokens for row in chosen], 0),
        "attention_mask": padded([[1] * len(row.tokens) for row in chosen], 0),
        "labels": padded([labels(row) for row in chosen], NOT_SCORED),
    }
    return {name: tensor.to(device()) for name, tensor in found.items()}


def _losses(model: Any, setup: Setup) -> Iterator[Tensor]:
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    model.train()
    for chosen in steps(setup):
        with torch.autocast(device().type, torch.bfloat16):
            loss: Tensor = model(**_batch(chosen)).loss
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield loss.detach()


def leg(setup: Setup) -> Measured:
    """Train."""
    base = base_model(setup, attn_implementation=_attention())
    watch = Stopwatch(setup)
    config = LoraConfig(r=LORA_R, lora_alpha=LORA_ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    set_start(model, setup.seed)
    return watch.measure(model, _losses(model, setup), f"transformers {transformers.__version__}, peft {peft.__version__}, {_attention()}")


if __name__ == "__main__":
    main(leg)
