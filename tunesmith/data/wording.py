"""How a language model is asked: prompt templates, filled in with a row's own texts."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.types import Choice, Completion, Labelled, MultiLabelled, Rated

__all__ = ["Asked", "Wording", "fill"]

_MOST_CHARACTERS = 64 * 2**20
"""Of a row's columns, all that a template names together."""
_Parsed = list[tuple[str, str | None, str | None, str | None]]


def _parsed(template: str, key: str) -> _Parsed:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f"{key}: cannot be read ({error}). Write {{{{ and }}}} for braces that are text.") from None


def fill(template: str, *, key: str = "data.template", **fields: str) -> str:
    """`template` with its `{names}` filled in; `{{` and `}}` are braces.

    Args:
        key: what messages call the template.
    Raises: RecipeError, for a name that the data does not have, and for a template that cannot be read.
    """
    filled, size = list[str](), 0
    for literal, name, spec, conversion in _parsed(template, key):
        filled.append(literal)
        if name is None:
            continue
        if spec or conversion or name not in fields:
            raise RecipeError(
                f"{key}: the data has no {{{name}}}.{did_you_mean(name, fields)} Write {{{{ and }}}} for braces that are text."
            )
        size += len(fields[name])
        if size > _MOST_CHARACTERS:
            raise RecipeError(f"{key}: makes more than {_MOST_CHARACTERS:,} characters of one row. Name each column once.")
        filled.append(fields[name])
    return "".join(filled)


@dataclass(frozen=True, slots=True)
class Asked:
    """How the examples of one data set of a mixture are asked, and, where they are labelled, the labels they are judged among."""

    templates: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wording:
    """The user's turn of pairs, of labelled texts and of questions with choices.

    Of several templates each row gets one: which is a function of the row's number alone, so that a row is asked the same in every epoch
    and run, whatever the seed, in training and in evaluation, and when its text is written another way.
    """

    templates: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    key: str = "data.template"
    """What messages call the templates."""

    def __post_init__(self) -> None:
        """Raises: RecipeError, for a template that cannot be read, or that is the same for every row."""
        for template in self.templates:
            if not any(name is not None for _, name, _, _ in _parsed(template, self.key)):
                raise RecipeError(
                    f"{self.key}: {template!r} names no column, so that every row would ask the same. Write {{text}} or {{source}} where the row's text belongs."
                )

    @classmethod
    def of(cls, template: str | Sequence[str] | None, labels: tuple[str, ...] = (), key: str = "data.template") -> "Wording":
        """From one template, several, or none: the text as it is."""
        given = () if template is None else (template,) if isinstance(template, str) else tuple(template)
        return cls(given, labels, key)

    def request(self, example: Completion | Labelled | Rated | MultiLabelled | Choice) -> str:
        """What is asked: a template filled in, else the source text (two texts parted by a line break, choices as a list below their question)."""
        if isinstance(example, Completion):
            fields = {"source": example.source, "text": example.source}
            plain = example.source
        elif isinstance(example, Choice):
            listed = "\n".join(f"- {choice}" for choice in example.choices)
            fields = {"question": example.question, "choices": listed, "text": example.question}
            plain = f"{example.question}\n{listed}"
        else:
            fields = {"text": example.text, "labels": ", ".join(self.labels)}
            if example.text_pair is not None:
                fields["text_pair"] = example.text_pair
            plain = example.text if example.text_pair is None else f"{example.text}\n{example.text_pair}"
        if not self.templates:
            return plain
        return fill(self.templates[self._choice(example.origin.row)], key=self.key, **fields)

    def _choice(self, row: int) -> int:
        digest = blake2b(str(row).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % len(self.templates)
