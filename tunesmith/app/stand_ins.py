"""What may stand before questions, without choosing or looking up anything: training rows as they come, and beginnings of documents. It tells how long questions get."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from tunesmith.app.in_context import pool_of, rows_of, worded
from tunesmith.app.kept_index import documents_of, passage_tokens, unmade_characters
from tunesmith.app.known_ways import known_way
from tunesmith.app.shots import strategy_of
from tunesmith.app.task import Task
from tunesmith.context.passages import above
from tunesmith.core.context import Strategy, Variant
from tunesmith.core.examples import Conversation
from tunesmith.core.passages import Passage
from tunesmith.core.types import Example
from tunesmith.data.library import Document
from tunesmith.engine.tree import num_shared

__all__ = ["StandIns"]

_QUESTIONS = 8
"""That tell how much longer a question gets."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """What takes the place of a strategy's examples and passages."""

    task: Task
    strategy: Strategy
    documents: Sequence[Document]
    passage_tokens: int
    """Of a passage, on average."""
    ways: Sequence[Variant]
    """The way to ask that was chosen when the same was asked before; all of them, where that is not known."""
    _lengths: dict[Variant, tuple[float, int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, task: Task) -> "StandIns":
        """Of a task whose recipe has a context."""
        strategy, known = strategy_of(task.recipe), known_way(task)
        documents, has_passages = documents_of(strategy), any(variant.num_passages for variant in strategy.variants())
        length = round(passage_tokens(strategy, documents, task.encoder.tokenizer)) if has_passages else 0
        return cls(task, strategy, documents, length, strategy.variants() if known is None else [known])

    @property
    def unmade_characters(self) -> int:
        """Of the documents that an index has to be made of."""
        return unmade_characters(self.strategy, self.documents)

    @property
    def longest(self) -> Variant:
        """Of these ways the one with most before a question."""
        return max(self.ways, key=self.tokens)

    def tokens(self, variant: Variant) -> float:
        """By how many a question gets longer, on average."""
        return self._measured(variant)[0]

    def shared(self, variant: Variant) -> int:
        """With how many equal tokens all questions begin then; 0 where the model reads each by itself."""
        return self._measured(variant)[1]

    def _measured(self, variant: Variant) -> tuple[float, int]:
        if variant not in self._lengths:
            questions = self.task.splits["validation"].examples or rows_of(self.task)
            examples, encoder = list(questions[:_QUESTIONS]), worded(self.task.encoder, variant.template)
            longer, plain = (encoder.prompts(asked) for asked in (self.asked(examples, variant), examples))
            mean = fmean(len(a) - len(b) for a, b in zip(longer, plain, strict=True))
            is_packed = self.task.forward.paths.attention == "packed"
            self._lengths[variant] = mean, num_shared(min(longer), max(longer)) if is_packed else 0
        return self._lengths[variant]

    def asked(self, examples: Sequence[Example], variant: Variant) -> list[Example]:
        """The questions with as much before them: other examples and passages before each, where they are chosen by the question."""
        chosen_alike = getattr(self.strategy, "choose_by", "") != "nearest"
        train, num_shots = rows_of(self.task), variant.num_shots
        pool = pool_of(self.task, worded(self.task.encoder, variant.template), train[: num_shots * (1 if chosen_alike else len(examples))])
        found = list[Example]()
        for number, example in enumerate(examples):
            assert isinstance(example, Conversation)
            start = 0 if chosen_alike else number * num_shots % max(1, len(pool.turns) - num_shots + 1)
            before = tuple(turn for turns in pool.turns[start : start + num_shots] for turn in turns)
            quoted = above(self._passages(number, variant.num_passages), cites=False) if variant.num_passages else ""
            found.append(replace(example, before=before, above=quoted))
        return found

    def _passages(self, first: int, count: int) -> list[Passage]:
        """As long as those of an index are on average, of documents from number `first` on."""
        tokenizer, length = self.task.encoder.tokenizer, max(1, self.passage_tokens)
        found = list[Passage]()
        for place in range(first, first + count):
            document = self.documents[place % len(self.documents)] if self.documents else None
            tokens = tokenizer(document.text[: 8 * length], add_special_tokens=False)["input_ids"] if document else []
            text = str(tokenizer.decode(tokens[:length])) if len(tokens) >= length else " ".join(["text"] * length)
            found.append(Passage(document.name if document else "document", 0, len(text), (), text))
        return found
