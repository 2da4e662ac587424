"""BIG-bench JSON: one task from a file in BIG-bench's format, named by its path.

Examples with `target_scores` are multiple choice: the likeliest choice is right where its score is the highest. The others are written, and right
where they are one of the targets but for punctuation. Prompts are laid out as BIG-bench lays out a task that says nothing else of it.
Source: Srivastava et al. (2022), "Beyond the Imitation Game", https://arxiv.org/abs/2206.04615; the format: github.com/google/BIG-bench, docs/doc.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import examples_of, json_document
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["BigBench"]

_MOST_TOKENS = 128
_BEFORE, _AFTER, _CHOICE = "\nQ: ", "\nA: ", "\n  choice: "
"""What BIG-bench puts before a question, before its answer, and before a choice, where a task names nothing else."""


@dataclass(frozen=True, kw_only=True)
class BigBench(LmEvalSuite):
    """The task of one file."""

    file: str
    """Path of the file."""

    definitions: ClassVar[str] = ""
    averages: ClassVar[bool] = False
    folder: ClassVar[str] = ""
    files: ClassVar[str] = "the task's .json"

    @property
    def tasks(self) -> Mapping[str, str]:
        """One, named as the file is; as its folder is, where it is called task.json, as in BIG-bench itself."""
        path = Path(self.file)
        return {path.absolute().parent.name if path.stem == "task" else path.stem: ""}

    def headline(self, task: str) -> tuple[str, ...]:
        """Accuracy, or the share of exact matches."""
        return ("acc",) if self._has_choices else ("exact_match",)

    def definition(self, task: str) -> Mapping[str, Any]:
        """The whole of it."""
        shared = {"test_split": "test", "doc_to_text": "input", "target_delimiter": " ", "num_fewshot": 0}
        if self._has_choices:
            metrics = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
            return {**shared, "output_type": "multiple_choice", "doc_to_choice": "choices", "doc_to_target": "best", "metric_list": metrics}
        metrics = [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, "ignore_punctuation": True}]
        generation = {"max_gen_toks": _MOST_TOKENS, "until": ["\n"], "do_sample": False}
        return {
            **shared,
            "output_type": "generate_until",
            "doc_to_target": "targets",
            "generation_kwargs": generation,
            "metric_list": metrics,
            "filter_list": [{"name": "none", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        }

    def read(self, folder: Path, task: str) -> Rows | None:
        """The file that was named; `folder` is not looked at."""
        rows = []
        for count, example in enumerate(self._examples, 1):
            place = f"{self.file}: example {count}"
            asked = example.get("input") if isinstance(example, Mapping) else None
            if not isinstance(asked, str):
                raise DataError(f"{place}: input: found {asked!r:.60}, expected a text.")
            read = _scored if self._has_choices else _written
            rows.append(read(self._document, asked, example, place))
        return {"test": rows}

    @cached_property
    def _document(self) -> dict[str, Any]:
        return json_document(Path(self.file))

    @property
    def _examples(self) -> list[Any]:
        return examples_of(Path(self.file), self._document)

    @property
    def _has_choices(self) -> bool:
        return isinstance(self._examples[0], Mapping) and "target_scores" in self._examples[0]


def _prompt(document: Mapping[str, Any], asked: str, choices: str = "") -> str:
    before, after = document.get("example_input_prefix", _BEFORE), document.get("example_output_prefix", _AFTER)
    return f"{document.get('task_prefix', '')}{before}{asked}{choices}{after}".strip()


def _scored(document: Mapping[str, Any], asked: str, example: Mapping[str, Any], place: str) -> dict[str, Any]:
    scores = example.get("target_scores")
    if not isinstance(scores, Mapping) or not scores or not all(isinstance(score, int | float) for score in scores.values()):
        raise DataError(f"{place}: target_scores: found {scores!r:.60}, expected a number for each choice.")
    listed = "".join(f"{document.get('choice_prefix', _CHOICE)}{choice}" for choice in scores)
    shown = listed if document.get("append_choices_to_input", True) else ""
    highest = max(scores.values())
    best = [index for index, score in enumerate(scores.values()) if score == highest]
    return {"input": _prompt(document, asked, shown), "choices": list(scores), "best": best}


def _written(document: Mapping[str, Any], asked: str, example: Mapping[str, Any], place: str) -> dict[str, Any]:
    target = example.get("target")
    targets = target if isinstance(target, list) else [target]
    if not targets or not all(isinstance(one, str) for one in targets):
        raise DataError(f"{place}: target: found {target!r:.60}, expected a text or a list of texts.")
    return {"input": _prompt(document, asked), "targets": targets}
