"""A sitting of one judge: questions one after another, each answer kept at once, the last one taken back."""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from tunesmith.feedback import QUESTIONS, Grades, StoredPrompt, StoredResponse
from tunesmith.feedback.store import FeedbackStore

__all__ = ["Question", "Session"]

Place = Literal[1, 2]
"""Of an answer on the screen."""
_Became = Literal["judged", "skipped", "judged elsewhere"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is shown at once: a prompt, and two answers to compare, or one to grade, in the order in which they are shown."""

    prompt: StoredPrompt
    answers: tuple[StoredResponse, ...]

    @property
    def pair(self) -> tuple[int, int]:
        """The two answers."""
        first, second = self.answers
        return first.id, second.id


class Session:
    """Asks `questions` of one judge. What is judged is in the store before the next question comes."""

    def __init__(
        self,
        store: FeedbackStore,
        judge: str,
        questions: Sequence[Question],
        hold: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        """`hold`: what a block is put in that must not be interrupted in the middle."""
        self._store, self._judge, self._questions, self._hold = store, judge, questions, hold
        self._place = 0
        self._steps = list[tuple[int, _Became]]()
        self._grades, self._comment = list[int](), ""

    @property
    def current(self) -> Question | None:
        """What is to be judged now; None where nothing is left."""
        return self._questions[self._place] if self._place < len(self._questions) else None

    @property
    def number(self) -> int:
        """Of the current question, from 1."""
        return self._place + 1

    @property
    def total(self) -> int:
        """How many questions the sitting has."""
        return len(self._questions)

    @property
    def asked_grade(self) -> str:
        """What the current answer is to be graded on next."""
        return QUESTIONS[len(self._grades)]

    def count(self, became: _Became) -> int:
        """How many questions became what."""
        return sum(one == became for _, one in self._steps)

    def choose(self, better: Place | None) -> bool:
        """Say which answer is better, the one that stands first or second; None: neither.

        Returns: whether it was kept; not, where this judge said so elsewhere in the meantime.
        """
        question = self._question()
        verdict: Literal["first", "second", "tie"] = "tie" if better is None else "first" if better == 1 else "second"
        with self._hold():
            with self._store.writing() as writer:
                kept = writer.choose(self._judge, question.pair, verdict, shown_first=question.answers[0].id, comment=self._comment)
            self._go_on("judged" if kept else "judged elsewhere")
        return kept

    def grade(self, value: int) -> bool:
        """Give the grade that is asked for; after the third the answer is kept. Returns: as `choose`. Raises: DataError, for no grade."""
        question = self._question()
        grades = [*self._grades, value]
        if len(grades) < len(QUESTIONS):
            Grades(*grades, *([1] * (len(QUESTIONS) - len(grades))))  # refuses what is no grade
            self._grades = grades
            return True
        with self._hold():
            with self._store.writing() as writer:
                kept = writer.grade(self._judge, question.answers[0].id, Grades(*grades), comment=self._comment)
            self._go_on("judged" if kept else "judged elsewhere")
        return kept

    def comment(self, text: str) -> None:
        """Words that are kept with the judgement of the current question."""
        self._comment = text.strip()

    def skip(self) -> None:
        """Leave the question; it comes again in the next sitting."""
        self._go_on("skipped")

    def undo(self) -> bool:
        """Take back the last grade, or go back to the last question and withdraw what was said. Returns: whether there was anything."""
        if self._grades:
            self._grades.pop()
            return True
        if not self._steps:
            return False
        place, became = self._steps[-1]
        with self._hold():
            if became == "judged":
                self._withdraw(self._questions[place])
            self._steps.pop()
            self._place, self._comment = place, ""
        return True

    def _withdraw(self, question: Question) -> None:
        with self._store.writing() as writer:
            if len(question.answers) == 2:
                writer.withdraw_choice(self._judge, question.pair)
            else:
                writer.withdraw_grade(self._judge, question.answers[0].id)

    def _question(self) -> Question:
        assert self.current is not None
        return self.current

    def _go_on(self, became: _Became) -> None:
        self._steps.append((self._place, became))
        self._place += 1
        self._grades, self._comment = [], ""
