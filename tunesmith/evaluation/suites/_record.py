"""ReCoRD: which of a passage's names fills the gap in a sentence, asked as lm-eval asks it.

lm-eval's own definition needs a part of transformers that version 5 no longer has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.evaluation.metrics._squad import normal, overlap
from tunesmith.evaluation.suites._classes import likeliest

__all__ = ["RECORD"]


def _prompt(doc: Mapping[str, Any]) -> str:
    """The passage, and its highlights as a list, which the filled sentence goes on."""
    passage, *highlights = doc["passage"].strip().split("\n@highlight\n")
    return f"{passage}\n\n" + "".join(f"  - {highlight}.\n" for highlight in highlights)


def _names(doc: Mapping[str, Any]) -> list[str]:
    return sorted(set(doc["entities"]))


def _filled(doc: Mapping[str, Any], name: str) -> str:
    return f"  - {doc['query']}".replace("@placeholder", name)


def _choices(doc: Mapping[str, Any]) -> list[str]:
    return [_filled(doc, name) for name in _names(doc)]


def _answer(doc: Mapping[str, Any]) -> str:
    return _filled(doc, min(doc["answers"]))


def _compared(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """The likeliest name beside the right answer that it is nearest to, as SQuAD compares them."""
    said = normal(_names(doc)[likeliest(results)])
    answers = [normal(answer) for answer in doc["answers"]]
    return {"f1": max(overlap(said, answer) for answer in answers), "em": float(said in answers)}


RECORD: Mapping[str, Any] = {
    "dataset_path": "aps/super_glue",
    "dataset_name": "record",
    "training_split": "train",
    "validation_split": "validation",
    "output_type": "multiple_choice",
    "doc_to_text": _prompt,
    "doc_to_choice": _choices,
    "doc_to_target": _answer,
    "process_results": _compared,
    "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("f1", "em")],
}
"""Its definition, whole."""
