"""What the formats share: usual names of columns, and reading a text out of a record."""

import json
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.types import Origin
from tunesmith.data.table import cell, listed_names, shown

__all__ = [
    "ANSWERS",
    "ATTRIBUTES",
    "CHOICES",
    "CHOSEN",
    "CONTEXTS",
    "CONVERSATIONS",
    "GRADED_ANSWERS",
    "GRADED_PROMPTS",
    "INSTRUCTIONS",
    "LABELS",
    "MESSAGES",
    "OUTPUTS",
    "PAIRS",
    "QUESTIONS",
    "REJECTED",
    "SCORES",
    "SECOND_TEXTS",
    "SYSTEMS",
    "TAGS",
    "TEXTS",
    "WORDS",
    "are_liked_or_not",
    "check_characters",
    "choose",
    "is_alpaca",
    "is_choices",
    "is_empty",
    "is_graded",
    "is_judged",
    "is_list",
    "is_preference",
    "is_unpaired",
    "listed",
    "locate_texts",
    "named_as_roles",
    "text_in",
    "texts_in",
]

TEXTS = ("text", "sentence", "sentence1", "premise")
SECOND_TEXTS = ("text_pair", "sentence2", "hypothesis")
LABELS = ("label", "labels", "class", "category", "sentiment")
SCORES = ("score", "rating", "similarity_score", "value")
WORDS = ("words", "tokens")
TAGS = ("tags", "ner_tags", "pos_tags")
PAIRS = (
    ("source", "target"),
    ("prompt", "completion"),
    ("question", "answer"),
    ("input", "output"),
    ("instruction", "output"),
    ("prompt", "response"),
    ("instruction", "response"),
    ("INSTRUCTION", "RESPONSE"),
    ("prompt", "generation"),
    ("article", "summary"),
    ("document", "summary"),
    ("instruction", "revision"),
    ("message_1", "message_2"),
)
CONTEXTS = ("context", "article", "passage")
INSTRUCTIONS = ("instruction", "question")
OUTPUTS = ("output", "response")
SYSTEMS = ("system", "system_prompt")
MESSAGES = ("messages",)
CONVERSATIONS = ("conversations",)
QUESTIONS = ("question", "ctx")
CHOICES = ("choices", "endings", "options")
ANSWERS = ("answer", "answerKey", "label", "solution")
GRADED_PROMPTS = ("prompt", "instruction", "question")
GRADED_ANSWERS = ("response", "answer", "completion", "output")
ATTRIBUTES = (
    "helpfulness", "correctness", "coherence", "complexity", "verbosity",
    "relevance", "appropriateness", "fluency", "consistency", "informativeness", "engagingness",
    "instruction_following", "honesty", "truthfulness", "harmlessness",
)  # fmt: skip
"""What answers are usually graded on: HelpSteer's attributes, those of dialogues and summaries, and those of assistants."""


def choose(names: Collection[str], columns: Collection[str], taken: Collection[str]) -> str | None:
    """The one of `names` that is among `columns` and not `taken`; None where there is none, or several."""
    found = [name for name in names if name in columns and name not in taken]
    return found[0] if len(found) == 1 else None


def named_as_roles(roles: Collection[str], columns: Collection[str], given: Mapping[str, str]) -> dict[str, str]:
    """The columns that are called as the role that they have, but for those `given` to another."""
    return {role: role for role in roles if role in columns and role not in given.values()}


def locate_texts(columns: Collection[str], given: Mapping[str, str], role: str, names: Collection[str]) -> dict[str, str]:
    """The columns of a text, of what is known of it (`role`, usually called one of `names`), and of a second text, as far as they are clear."""
    found = dict(given)
    for wanted, usual in (("text", TEXTS), (role, names), ("text_pair", SECOND_TEXTS)):
        name = found.get(wanted) or choose(usual, columns, found.values())
        if name:
            found[wanted] = name
    return found


CHOSEN = ("chosen", "preferred_output", "chosen_response")
REJECTED = ("rejected", "non_preferred_output", "rejected_response")


def is_preference(columns: Set[str]) -> bool:
    """Whether there are two answers, of which one was liked better."""
    return any({chosen, rejected} <= columns for chosen, rejected in zip(CHOSEN, REJECTED, strict=True))


def is_unpaired(columns: Set[str]) -> bool:
    """Whether there is one answer, and whether it was liked."""
    return "kto_tag" in columns or ({"completion", "label"} <= columns and columns.isdisjoint(TEXTS))


def are_liked_or_not(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every record of conversations says in a column label that it was liked, or that it was not."""
    return all(isinstance(record.get("label"), bool) for record in records)


def is_judged(columns: Set[str]) -> bool:
    """Whether there is a judgement of answers, not only an answer to learn."""
    return is_preference(columns) or is_unpaired(columns)


def is_alpaca(columns: Set[str]) -> bool:
    """Whether there is more than an instruction and its output, which are a pair."""
    is_answered = not columns.isdisjoint(INSTRUCTIONS) and not columns.isdisjoint(OUTPUTS)
    return is_answered and not columns.isdisjoint({"input", "history", *SYSTEMS}) and not is_judged(columns)


def is_choices(columns: Set[str]) -> bool:
    """Whether a question comes with answers to choose among, so that question and answer are no pair."""
    has_choices = not columns.isdisjoint(CHOICES) or {"A", "B"} <= columns
    return has_choices and not columns.isdisjoint(QUESTIONS) and not columns.isdisjoint(ANSWERS)


def is_graded(columns: Set[str]) -> bool:
    """Whether an answer to a prompt comes with at least two attributes that are usually graded, and with nothing else that it could be read as."""
    is_answered = not columns.isdisjoint(GRADED_PROMPTS) and not columns.isdisjoint(GRADED_ANSWERS)
    is_other = is_alpaca(columns) or is_choices(columns) or is_judged(columns)
    return is_answered and not is_other and len(columns & set(ATTRIBUTES)) > 1


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, or white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_list(value: Any) -> bool:
    """Whether a cell holds a list, or the JSON text of one."""
    return isinstance(value, list | tuple) or (isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]")


def text_in(record: Mapping[str, Any], column: str, origin: Origin) -> str:
    """The text in a column. Raises: DataError, where it is missing, empty or no text."""
    where = f"{origin.file}:{origin.row}"
    if column not in record:
        raise DataError(f'{where}: no column "{column}". Found: {listed_names(record)}.')
    value = cell(record[column])
    if is_empty(value):
        raise DataError(f'{where}: the column "{column}" is empty. Write its text or remove the row.')
    if not isinstance(value, str):
        raise DataError(f'{where}: the column "{column}" holds {shown(value)} ({type(value).__name__}), expected text.')
    check_characters(value, f'{where}: the column "{column}"')
    return value


def texts_in(record: Mapping[str, Any], column: str, origin: Origin) -> list[str]:
    """The text in a column, or those of a list of texts, each once, without the empty ones. Raises: DataError, as `text_in`, and where nothing is left."""
    value = record.get(column)
    if not isinstance(value, list | tuple):
        return [text_in(record, column, origin)]
    texts = [text_in({column: text}, column, origin) for text in value if not is_empty(cell(text))]
    if not texts:
        raise DataError(f'{origin.file}:{origin.row}: the column "{column}" holds a list without a text. Write one, or remove the row.')
    return list(dict.fromkeys(texts))


def listed(value: Any, where: str, column: str, what: str) -> Any:
    """A column's value, read as JSON where it is text. Raises: DataError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{where}: the column "{column}" is no JSON ({error}), expected a list of {what}.') from None


def check_characters(text: str, place: str) -> None:
    """JSON can spell half of a character, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise DataError(f"{place} holds {half}, half of a character (a lone surrogate). Write the whole character, or remove it.") from None
