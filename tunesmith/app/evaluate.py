"""`tunesmith evaluate`: suites of tasks asked of a model, or of a run and its base, with intervals and paired differences."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.app.interruption import Interruption
from tunesmith.app.learned import learned, require_language_model, require_trained
from tunesmith.app.suites.choosing import choose, require_lm_eval
from tunesmith.core.addresses import is_endpoint
from tunesmith.core.errors import Interrupted, UsageError
from tunesmith.core.events import Event, Notice, Stage, Warned
from tunesmith.core.files import folders_made, staged_folder, write_json
from tunesmith.core.run import RunDirectory, dated_place, run_named

if TYPE_CHECKING:
    from tunesmith.app.suites.asking import Answered
    from tunesmith.app.suites.tasks import LoadedSuite
    from tunesmith.app.tuned import Tuned

__all__ = ["evaluate"]

Say = Callable[[Event], None]
Answers = Mapping[str, Mapping[str, "Answered"]]
"""By suite and task."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom to ask, and how it is loaded."""

    name: str
    load: Callable[[], "Tuned"]


def evaluate(
    target: str | RunDirectory,
    suites: Sequence[str],
    *,
    data: Path | None = None,
    limit: int | None = None,
    num_fewshot: int | None = None,
    base: bool = True,
    chat_template: bool = False,
    out: Path | None = None,
    progress: Say | None = None,
) -> dict[str, Any]:
    """Ask suites of tasks, and write what was said to each row.

    Args:
        target: a run's id or folder, or a model: alias, hub id, folder.
        suites: names of suites, of their tasks, of lm-eval's tasks, or paths of BIG-bench's JSON files.
        data: a folder that holds a folder a suite with its authors' files; None: the rows come from the hub.
        limit: the most rows of each suite, the same ones for every model.
        num_fewshot: solved examples before each question, in place of a suite's own number.
        base: whether the model that a run began with is asked too.
        chat_template: whether prompts are written as conversations, as the model's own template has them.
        out: the folder to write, which is not there yet; None: `runs/evaluations/NAME-DATE-TIME`.
    Returns: {model, suites, averages, base, differences, settings, cut, out, seconds, versions} (docs/evaluation.md).
    Raises: UsageError, DataError, FetchError, Interrupted: nothing is written then.
    """
    require_lm_eval()
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected at least 1.")
    if num_fewshot is not None and num_fewshot < 0:
        raise UsageError(f"--num-fewshot {num_fewshot}: expected at least 0.")
    run = _run_of(target)
    place = _place(out, run.id if run is not None else str(target))
    chosen = choose(suites)
    started = time.monotonic()
    with Interruption() as interruption:
        say = interruption.checked(progress)
        try:
            from tunesmith.app.suites.tasks import load

            loaded = []
            for one in chosen:
                say(Stage("data", one.name))
                loaded.append(load(one, data, num_fewshot))
                for note in loaded[-1].notes:
                    say(Warned(note))
            subjects = _of_run(run, base) if run is not None else [_of_model(str(target))]
            document, examples = _asked(subjects, loaded, limit, chat_template, say)
            settings = {"limit": limit, "num_fewshot": num_fewshot, "chat_template": chat_template, "data": str(data) if data else None}
            document |= {"settings": settings, "out": str(place), "seconds": time.monotonic() - started}
            with folders_made(place), staged_folder(place) as staged:
                write_json(staged / "evaluate.json", {"schema": "tunesmith/evaluate/1", **document})
                (staged / "examples.jsonl").write_text("".join(examples), encoding="utf-8")
                interruption.while_busy(lambda: True)  # it is done: a signal comes too late
        except Interrupted:
            raise Interrupted("interrupted; nothing was written.") from None
    return document


def _place(out: Path | None, name: str) -> Path:
    if out is not None:
        if out.exists():
            raise UsageError(f"--out {out}: exists. Name another folder.")
        return out
    return dated_place(Path("runs") / "evaluations", Path(name).name)


def _of_model(name: str) -> _Subject:
    def load() -> "Tuned":
        from tunesmith.app.tuned import load_base
        from tunesmith.recipe import from_mapping

        return load_base(from_mapping({"model": name, "data": "none"}, name="evaluate"))

    return _Subject(name, load)


def _run_of(target: str | RunDirectory) -> RunDirectory | None:
    """The run that is named; None where it is a model. Raises: UsageError, RunError, where a run trained no language model, or nothing is here."""
    if is_endpoint(str(target)):
        raise UsageError(
            f"{target}: suites ask how likely answers are, which an endpoint does not tell. Measure it on your own rows: tunesmith tune RECIPE model={target} "
            "method=none context=few_shot."
        )
    run = target if isinstance(target, RunDirectory) else run_named(target)
    if run is not None:
        known = learned(run)
        require_language_model(known.kind)
        require_trained(known, run.id)
    return run


def _of_run(run: RunDirectory, with_base: bool) -> list[_Subject]:
    """The run, then the model that it began with."""
    from tunesmith.app.tuned import load_base, load_tuned, saved_model

    known = learned(run)
    tuned = _Subject(run.id, lambda: load_tuned(run))
    base = _Subject(known.recipe.model.source, lambda: load_base(known.recipe, saved_model(run)))
    return [tuned, base] if with_base else [tuned]


def _asked(
    subjects: Sequence[_Subject], loaded: Sequence["LoadedSuite"], limit: int | None, chat_template: bool, say: Say
) -> tuple[dict[str, Any], list[str]]:
    """The document of what all of them said, and a JSON line for each row that each was asked."""
    from tunesmith.app.machine import versions
    from tunesmith.app.suites.measuring import add_corrected, averages, differences, metrics

    answers, cut = list[Answers](), dict[str, Any]()
    for subject in subjects:
        found, cut[subject.name] = _answers(subject, loaded, limit, chat_template, say)
        answers.append(found)
    measured = [
        {
            "model": subject.name,
            "suites": {suite: {task: metrics(one) for task, one in tasks.items()} for suite, tasks in found.items()},
            "averages": {one.name: average for one in loaded if (average := averages(one, found[one.name]))},
        }
        for subject, found in zip(subjects, answers, strict=True)
    ]
    document: dict[str, Any] = {**measured[0], "cut": cut, "versions": versions()}
    if len(subjects) > 1:
        tuned, base = answers
        document |= {
            "base": measured[1],
            "differences": {
                "suites": {
                    name: {task: differences(base[name][task], one) for task, one in tasks.items()} for name, tasks in tuned.items()
                },
                "averages": {one.name: gap for one in loaded if (gap := averages(one, tuned[one.name], base[one.name]))},
            },
        }
        add_corrected(document["differences"])
    return document, [line for subject, found in zip(subjects, answers, strict=True) for line in _lines(subject.name, found)]


def _answers(
    subject: _Subject, loaded: Sequence["LoadedSuite"], limit: int | None, chat_template: bool, say: Say
) -> tuple[dict[str, Mapping[str, "Answered"]], dict[str, Any]]:
    """What a model said to the rows of each suite, and how many of its prompts and answers were cut, by task."""
    from tunesmith.app.suites.asking import ask
    from tunesmith.app.suites.language_model import EngineLM
    from tunesmith.app.suites.tasks import allotted, sampled

    say(Stage("model", subject.name))
    lm = EngineLM(subject.load(), subject.name, say)
    if chat_template:
        lm.require_chat_template()
    found = dict[str, Mapping[str, "Answered"]]()
    for one in loaded:
        counts = allotted(one, limit)
        rows = {task: sampled(task, one.sizes[task], count) for task, count in counts.items()}
        num_tasks = sum(count > 0 for count in counts.values())
        say(Stage("ask", f"{one.name}: {sum(counts.values()):,} rows of {num_tasks:,} task{'' if num_tasks == 1 else 's'}"))
        if num_tasks < len(counts):
            say(Notice(f"--limit leaves {len(counts) - num_tasks:,} of {len(counts):,} tasks unasked; the average is over the others."))
        found[one.name] = ask(lm, one, rows, with_chat_template=chat_template)
        _tell_of_cuts(lm, found[one.name], say)
    return found, {"prompts": dict(+lm.num_prompts_cut), "answers": dict(+lm.num_answers_cut)}


def _tell_of_cuts(lm: Any, answered: Mapping[str, "Answered"], say: Say) -> None:
    num_rows = sum(len(one.rows) for one in answered.values())
    answers, prompts = (sum(counts[task] for task in answered) for counts in (lm.num_answers_cut, lm.num_prompts_cut))
    if answers:
        say(Notice(f"answers that had not ended where they had to, and count as they are: {answers:,} of {num_rows:,} rows."))
    if prompts:
        say(
            Warned(
                f"prompts longer than the model reads ({lm.max_length:,} tokens), whose beginning was left out: {prompts:,}, for {num_rows:,} rows."
            )
        )


def _lines(model: str, answers: Answers) -> Iterator[str]:
    for suite, tasks in answers.items():
        for task, answered in tasks.items():
            for example in answered.examples:
                yield json.dumps({"model": model, "suite": suite, "task": task, **example}, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's; anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)
