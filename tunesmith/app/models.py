"""`tunesmith models`: what there is, what it is made of, and what it would take to train. `list_models` imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.events import Event, Notice, Progress, Stage

if TYPE_CHECKING:
    from tunesmith.model.source import SourceInfo

__all__ = ["list_models", "pull_model", "show_model"]

_MICRO_BATCH_TOKENS = 2048
_TEXT_TOKENS = 128
_LORA_RANK = 16

Say = Callable[[Event], None]


def list_models() -> list[dict[str, Any]]:
    """The models that need no hub, then those in the hub's cache: name, what it is, licence, source, bytes to download, whether it is here."""
    from tunesmith.model.source import aliases

    known = [
        {
            "name": alias.name,
            "summary": alias.summary,
            "licence": alias.licence,
            "source": alias.origin,
            "download_bytes": alias.download_bytes,
            "cached": alias.cached,
        }
        for alias in aliases()
    ]
    return known + _hub_models()


def _hub_models() -> list[dict[str, Any]]:
    """Models in the hub's cache that have a config and safetensors, by the folders' names alone."""
    home = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser()) / "hub"
    found = []
    for folder in sorted(Path(home).glob("models--*")):
        if any(folder.glob("snapshots/*/*.safetensors")) and any(folder.glob("snapshots/*/config.json")):
            name = folder.name.removeprefix("models--").replace("--", "/")
            found.append(
                {
                    "name": name,
                    "summary": "in the hub's cache",
                    "licence": None,
                    "source": f"hub {name}",
                    "download_bytes": 0,
                    "cached": True,
                }
            )
    return found


def pull_model(name: str, *, revision: str | None = None, progress: Say | None = None) -> dict[str, Any]:
    """Bring a model to this machine and check that it loads. Raises: ModelError, FetchError.

    Returns: its source, as `show_model` says it, and its folder.
    """
    info = _resolve(name, revision, progress)
    if progress is not None:
        progress(Stage("check", str(info.folder)))
    from tunesmith.model.load import load_folder

    model = load_folder(info)
    if progress is not None:
        progress(Notice(f"{model.facts.architecture}, {model.facts.num_parameters:,} parameters"))
    return {**_source(info), "architecture": model.facts.architecture, "parameters": model.facts.num_parameters}


def show_model(name: str, *, revision: str | None = None, progress: Say | None = None) -> dict[str, Any]:
    """A model's source, parameters by part, and the memory to train it with each method.

    The weights are counted, not loaded; a model that is not on this machine is fetched. Raises: ModelError, FetchError.
    """
    info = _resolve(name, revision, progress)
    from tunesmith.model.facts import MethodKind, flops_per_token, lora_parameters, training_memory
    from tunesmith.model.load import describe

    module, facts = describe(info)
    methods: list[tuple[str, MethodKind, int]] = [
        ("full", "full", facts.num_parameters),
        (f"lora, r {_LORA_RANK}", "lora", lora_parameters(module, _LORA_RANK)),
        ("head, 2 classes", "head", 2 * (facts.hidden_size + 1)),
    ]
    training: dict[str, Any] = {"assumes": f"float32, AdamW, micro-batches of {_MICRO_BATCH_TOKENS} tokens, texts of {_TEXT_TOKENS}"}
    for label, method, count in methods:
        estimate = training_memory(facts, num_trainable=count, micro_batch_tokens=_MICRO_BATCH_TOKENS, method=method)
        training[label] = {
            "trainable_parameters": count,
            "memory_bytes": estimate.total_bytes,
            "gflops_per_token": round(flops_per_token(facts, sequence_length=_TEXT_TOKENS, method=method) / 1e9, 3),
        }
    return {
        **_source(info),
        "architecture": facts.architecture,
        "writes_text": facts.has_lm_head,
        "context_tokens": facts.max_length,
        "hidden_size": facts.hidden_size,
        "layers": facts.num_layers,
        "vocabulary": facts.vocab_size,
        "parameters": facts.num_parameters,
        "parts": {part: count for part, count in facts.parts.items() if count},
        "training": training,
    }


def _resolve(name: str, revision: str | None, progress: Say | None) -> SourceInfo:
    from tunesmith.model.source import Request, resolve

    if progress is None:
        return resolve(Request(name, revision))
    progress(Stage("model", name))
    return resolve(Request(name, revision, progress=lambda done, total: progress(Progress("download", done, total, in_bytes=True))))


def _source(info: SourceInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "kind": info.kind,
        "source": info.origin,
        "revision": info.revision,
        "licence": info.licence,
        "sha256": info.sha256,
        "folder": str(info.folder),
        "notes": list(info.notes),
    }
