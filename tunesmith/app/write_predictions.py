"""Write predictions.jsonl: what base and tuned said to every test row, and what each row contributed to each metric."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tunesmith.app.judged import Judgement
from tunesmith.app.learned import answers
from tunesmith.app.measurable import Measurable
from tunesmith.app.measured import row_scores
from tunesmith.core.examples import Judged, before_answer
from tunesmith.core.files import finite, write_text
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Chat, Example
from tunesmith.data.checks.texts import asked
from tunesmith.evaluation.references import references_of
from tunesmith.evaluation.score import text_of

__all__ = ["write_predictions"]

_SHOWN_CHARACTERS = 600
"""Of what a model was given to read."""

_MAY_BE_NOTHING = ("rewarded", "held_out_reward", "kl_nats")
"""Fields of an output of which 0 is something that was measured."""


def write_predictions(task: Measurable, directory: RunDirectory, base: Judgement, tuned: Judgement, better: Mapping[int, str]) -> None:
    """One line a row of the test split and of each domain, as docs/report-format.md describes it. `better`: what a judge said of test rows."""
    lines = []
    for name in ("test", *task.data.domains):
        split, after, before = task.splits[name], tuned.outputs[name], base.outputs.get(name) or None
        scores = {"tuned": row_scores(task, split, after), **({"base": row_scores(task, split, before)} if before else {})}
        for index, (example, reference, output) in enumerate(zip(split.examples, split.references, after, strict=True)):
            text, references = text_of(example)[:_SHOWN_CHARACTERS], references_of(example, reference)
            line = {
                "split": name,
                "row": f"{example.origin.file}:{example.origin.row}",
                **({"task": example.origin.task} if task.data.sets else {}),
                **({"group": example.origin.group} if example.origin.group else {}),
                **({"text": text} if not reference.startswith(text) else {}),  # raw text is its own reference
                **(_asked(example) if output.text is not None and answers(task.kind) else {}),
                "reference": reference,
                **({"references": references} if len(references) > 1 else {}),
                "tuned": _said(output),
                **({"base": _said(before[index])} if before else {}),
                **({"better": better[index]} if name == "test" and index in better else {}),
                "scores": finite({side: found[index] for side, found in scores.items()}),
            }
            lines.append(json.dumps(line, ensure_ascii=False))
    write_text(directory.predictions, "\n".join(lines) + "\n")


def _asked(example: Example) -> dict[str, Any]:
    """What was asked, as one text; where that was a conversation of several turns, also as messages."""
    turns = example.prompt if isinstance(example, Judged) else before_answer(example) if isinstance(example, Chat) else ()
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    return {"prompt": asked(example), **({"messages": messages} if len(messages) > 1 else {})}


def _said(output: object) -> dict[str, object]:
    return {
        name: value
        for name, value in asdict(output).items()  # type: ignore[call-overload]
        if value == value and value is not None and (name in _MAY_BE_NOTHING or value not in ((), 0))
    }
