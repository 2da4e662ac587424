"""BIG-Bench Hard's tasks, their weights and their files."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import examples_of, first_of, json_document, text
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["BigBenchHard"]

_TASKS = {
    "algorithmic": """boolean_expressions dyck_languages geometric_shapes logical_deduction_five_objects logical_deduction_seven_objects
        logical_deduction_three_objects multistep_arithmetic_two navigate object_counting temporal_sequences
        tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects web_of_lies
        word_sorting""",
    "language": """causal_judgement date_understanding disambiguation_qa formal_fallacies hyperbaton movie_recommendation penguins_in_a_table
        reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks sports_understanding""",
}
_IN_THREE_SIZES = ("logical_deduction", "tracking_shuffled_objects")


class BigBenchHard(LmEvalSuite):
    """The 27 files of 23 tasks."""

    folder: ClassVar[str] = "bbh"
    files: ClassVar[str] = "TASK.json, from the folder bbh of github.com/suzgunmirac/BIG-Bench-Hard"
    prefix: ClassVar[str]

    @property
    def tasks(self) -> Mapping[str, str]:
        """By what they ask for, as in the paper's table 2."""
        return {f"{self.prefix}{name}": category for category, names in _TASKS.items() for name in names.split()}

    def weight(self, task: str, num_rows: int) -> float:
        """Every task weighs the same; two come in three sizes, which weigh a third each."""
        return 1 / 3 if task.removeprefix(self.prefix).startswith(_IN_THREE_SIZES) else 1.0

    def read(self, folder: Path, task: str) -> Rows | None:
        """A task's file: its examples, each an input and a target."""
        path = first_of(folder, f"{task.removeprefix(self.prefix)}.json")
        if path is None:
            return None
        examples = examples_of(path, json_document(path))
        places = [f"{path}: example {number}" for number in range(1, len(examples) + 1)]
        return {"test": [{key: text(one, key, place) for key in ("input", "target")} for place, one in zip(places, examples, strict=True)]}
