"""predictions.jsonl: what base and tuned said to every test row, and what each row contributed to each metric."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tunesmith.app.judged import Judgement
from tunesmith.app.learned import answers
from tunesmith.app.measurable import Measurable
from tunesmith.app.measured import row_scores
from tunesmith.core.errors import RunError
from tunesmith.core.examples import Judged
from tunesmith.core.files import finite, write_text
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Chat, Example
from tunesmith.data.checks.texts import asked, before_answer
from tunesmith.evaluation.references import references_of
from tunesmith.evaluation.score import text_of

__all__ = ["answered", "read_predictions", "row_name", "stats_of", "write_predictions"]

_SHOWN_CHARACTERS = 600
"""Of what a model was given to read."""


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
    return {name: value for name, value in asdict(output).items() if value == value and value not in (None, (), 0)}  # type: ignore[call-overload]


def read_predictions(directory: RunDirectory) -> list[dict[str, Any]]:
    """The lines of a finished run. Raises: RunError, where it is not finished, was removed, or was written before scores were kept."""
    directory.read_json(directory.report_json)  # the last file that a run writes
    try:
        lines = [json.loads(line) for line in directory.predictions.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise RunError(f"{directory.predictions}: cannot be read ({error}).") from None
    if any("scores" not in line for line in lines):
        raise RunError(f"{directory.predictions}: holds no scores of its rows; an earlier version wrote it. Train the run again.")
    return lines


def answered(directory: RunDirectory) -> dict[tuple[str, str], dict[str, Any]]:
    """(row, prompt) -> the line, of the test rows that were answered in words. Raises: as `read_predictions`."""
    return {(line["row"], line["prompt"]): line for line in read_predictions(directory) if line["split"] == "test" and "prompt" in line}


def row_name(line: Mapping[str, Any]) -> str:
    """What a row is matched by: its file and number, of a mixture with its task."""
    return f"{line['task']}: {line['row']}" if line.get("task") else str(line["row"])


def stats_of(lines: Sequence[Mapping[str, Any]], metric: str, split: str = "test", task: str = "") -> dict[str, list[Any]]:
    """Of the rows that the metric was measured on: `row`, their groups or else their names, and under `tuned` and `base` what each contributed.

    Args:
        task: of a mixture, whose rows alone are wanted; empty: all.
    Returns: as `core.crossed.Stats.of` takes it; without `base` where the base was not asked.
    """
    rows = [line for line in lines if line["split"] == split and task in ("", line.get("task")) and metric in line["scores"]["tuned"]]
    sides = [side for side in ("tuned", "base") if rows and all(metric in line["scores"].get(side, {}) for line in rows)]
    return {
        "row": [line.get("group") or row_name(line) for line in rows],
        **{side: [line["scores"][side][metric] for line in rows] for side in sides},
    }
