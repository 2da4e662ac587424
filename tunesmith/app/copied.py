"""How much of what models of raw text wrote is copied from the training texts: report.json's `copied`."""

from collections.abc import Sequence
from typing import Any

from tunesmith.app.judged import Judgement, beginning
from tunesmith.app.task import Task
from tunesmith.core.types import Output
from tunesmith.evaluation.copying import Copied, longest_copied
from tunesmith.evaluation.score import text_of

__all__ = ["copied"]


def copied(task: Task, base: Judgement, tuned: Judgement) -> dict[str, Any] | None:
    """The longest run of words in the continuations and answers of base and tuned that stands in the training texts; None where none were written.

    Beside them `held_out`, the same for what the held-out texts themselves go on with, as many words: an author repeats phrases, too.
    """
    if task.kind != "language_modelling":
        return None
    after = _written(tuned)
    if not after:
        return None
    test, outputs = task.splits["test"], tuned.outputs["test"]
    continued = [row for row, output in enumerate(outputs) if output.text is not None]
    rests = [_as_long(beginning(test.examples[row])[1], outputs[row]) for row in continued]
    groups = {"base": _written(base), "tuned": after, "held_out": rests}
    found = longest_copied([text for texts in groups.values() for text in texts], (text_of(example) for example in task.data.train))
    document, start = dict[str, Any](), 0
    for name, texts in groups.items():
        document[name] = _longest(found[start : start + len(texts)])
        start += len(texts)
    return {"texts": len(after), "train_texts": len(task.data.train), **document}


def _written(judgement: Judgement) -> list[str]:
    return [*(output.text for output in judgement.outputs.get("test", ()) if output.text is not None), *judgement.answers]


def _as_long(text: str, output: Output) -> str:
    """As many words of `text` as the output has."""
    return " ".join(text.split()[: len((output.text or "").split())])


def _longest(found: Sequence[Copied]) -> dict[str, Any] | None:
    if not found:
        return None
    longest = max(found, key=lambda one: one.num_words)
    return {"words": longest.num_words, "passage": longest.passage}
