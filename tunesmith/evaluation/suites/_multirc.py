"""MultiRC: every answer is judged alone, and counted over all answers and by whole questions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.evaluation.suites._classes import metric

__all__ = ["MULTIRC"]


def _judgements(doc: Mapping[str, Any]) -> list[str]:
    return [f"{doc['answer']}\nIs the answer correct? {said}" for said in ("no", "yes")]


def _judged(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Of F1a whether an answer is rightly called right, is right, and is called so; of EM its question, which answer it is, and whether it is judged right."""
    (no, _), (yes, _) = results
    true, said = doc["label"] == 1, yes > no
    idx = doc["idx"]
    question = (idx["paragraph"], idx["question"])
    return {"f1a": (float(true and said), float(true), float(said)), "em": (question, idx["answer"], true == said)}


def _f1(items: Sequence[tuple[float, float, float]]) -> float:
    return float(metric("f1").value(np.array(items)))


def _questions_right(items: Sequence[tuple[tuple[int, int], int, bool]]) -> float:
    """A question ends where another begins, or where an answer comes again: a passage may have been drawn twice."""
    questions, last, seen = list[list[list[float]]](), None, set[int]()
    for question, answer, right in items:
        if question != last or answer in seen:
            questions.append([])
            last, seen = question, set()
        seen.add(answer)
        questions[-1].append([float(right)])
    whole = metric("question_exact_match")
    return float(whole.value(np.array([whole.merge(np.array(question)) for question in questions])))


MULTIRC: Mapping[str, Any] = {
    "doc_to_choice": _judgements,
    "process_results": _judged,
    "metric_list": [
        {"metric": "f1a", "aggregation": _f1, "higher_is_better": True},
        {"metric": "em", "aggregation": _questions_right, "higher_is_better": True},
    ],
}
"""Its metrics, and its choices in the order of its labels: what lm-eval's definition has otherwise."""
