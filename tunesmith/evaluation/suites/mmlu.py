"""MMLU: 57 subjects of school, university and professions, four choices a question, five shots.

A category's score, and the whole suite's, is the share of right answers over all its questions, as the authors compute it: a subject weighs as
many as it has questions.
Source: Hendrycks et al. (2021), "Measuring Massive Multitask Language Understanding", https://arxiv.org/abs/2009.03300.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tunesmith.core.errors import DataError
from tunesmith.core.suite import Rows
from tunesmith.evaluation.suites._files import csv_rows, first_of, required
from tunesmith.evaluation.suites._suite import LmEvalSuite

__all__ = ["Mmlu"]

_SUBJECTS = {
    "STEM": """abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics college_physics
        computer_security conceptual_physics electrical_engineering elementary_mathematics high_school_biology high_school_chemistry
        high_school_computer_science high_school_mathematics high_school_physics high_school_statistics machine_learning""",
    "humanities": """formal_logic high_school_european_history high_school_us_history high_school_world_history international_law jurisprudence
        logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions""",
    "social sciences": """econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics
        high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations security_studies sociology
        us_foreign_policy""",
    "other": """business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing medical_genetics miscellaneous
        nutrition professional_accounting professional_medicine virology""",
}
_OF_A_PASSAGE = "This question refers to the following information."
_COLUMNS = ("question", "A", "B", "C", "D", "answer")


@dataclass(frozen=True, kw_only=True)
class Mmlu(LmEvalSuite):
    """The 57 subjects, shots from their `dev` files."""

    definitions: ClassVar[str] = "mmlu/default"
    num_fewshot: ClassVar[int | None] = 5
    folder: ClassVar[str] = "mmlu"
    files: ClassVar[str] = "test/SUBJECT_test.csv and dev/SUBJECT_dev.csv, from the data.tar of github.com/hendrycks/test"

    @property
    def tasks(self) -> Mapping[str, str]:
        """By subject."""
        return {f"mmlu_{subject}": category for category, subjects in _SUBJECTS.items() for subject in subjects.split()}

    def weight(self, task: str, num_rows: int) -> float:
        """Every question weighs the same."""
        return num_rows

    def group(self, task: str, row: Mapping[str, Any]) -> Hashable:
        """The passage that a question of history is about: what stands before its last line."""
        passage, _, _ = row["question"].strip().rpartition("\n")
        return passage if passage.startswith(_OF_A_PASSAGE) else None

    def read(self, folder: Path, task: str) -> Rows | None:
        """A subject's two files: question, four choices, the answer's letter; no header."""
        subject = task.removeprefix("mmlu_")
        test = first_of(folder, f"test/{subject}_test.csv")
        return None if test is None else {"test": _rows(test), "dev": _rows(required(folder, f"dev/{subject}_dev.csv"))}


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for place, row in csv_rows(path, _COLUMNS):
        if row["answer"] not in ("A", "B", "C", "D"):
            raise DataError(f"{place}: answer: found {row['answer']!r}, expected A, B, C or D.")
        rows.append({"question": row["question"], "choices": [row[letter] for letter in "ABCD"], "answer": "ABCD".index(row["answer"])})
    return rows
