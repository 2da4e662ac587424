"""A published classifier of texts with its makers' own head. Those tuned here are runs, and are asked as runs are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tunesmith.core.errors import Interrupted, ModelError, one_line
from tunesmith.model._quiet import quiet
from tunesmith.model.load import describe
from tunesmith.model.source import Request, SourceInfo, resolve

__all__ = ["PublishedClassifier", "load_classifier"]


@dataclass(frozen=True, slots=True)
class PublishedClassifier:
    """It says how probable each of its labels is of a text."""

    source: SourceInfo
    labels: tuple[str, ...]
    _pipeline: Any
    _max_length: int

    def probabilities(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Of each text label -> probability; they add up to 1 where a text has one label. What the model does not read of a text is cut at its end."""
        with quiet():
            found = self._pipeline(list(texts), top_k=None, truncation=True, max_length=self._max_length)
        return [{one["label"]: one["score"] for one in scores} for scores in found]


def load_classifier(name: str, device: torch.device) -> PublishedClassifier:
    """Of an alias, a folder or a hub id.

    Raises: ModelError, where there is no such model, or it has no head that classifies; FetchError, where it cannot be fetched.
    """
    info = resolve(Request(name))
    _, facts = describe(info, "encoder")
    with quiet():
        try:
            model, loading = AutoModelForSequenceClassification.from_pretrained(info.folder, use_safetensors=True, output_loading_info=True)
            tokenizer = AutoTokenizer.from_pretrained(info.folder)
        except Interrupted:
            raise
        except Exception as error:  # each architecture fails in its own way
            raise ModelError(f"{name}: is no classifier of texts ({one_line(error, 200)}).") from error
        if loading["missing_keys"]:
            raise ModelError(
                f"{name}: was saved without a head that classifies (its weights lack {min(loading['missing_keys'])}). "
                "Name a classifier, or tune one on this model: tunesmith tune RECIPE."
            )
        asked = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device=device)
    labels = tuple(model.config.id2label[place] for place in range(model.config.num_labels))
    return PublishedClassifier(info, labels, asked, facts.max_length)
