"""How a language model is asked: prompt templates, filled in with a row's own texts."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.types import Completion, Labelled

__all__ = ["Wording", "fill"]

_Parsed = list[tuple[str, str | None, str | None, str | None]]


def _parsed(template: str) -> _Parsed:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f"data.template: cannot be read ({error}). Write {{{{ and }}}} for braces that are text.") from None


def fill(template: str, **fields: str) -> str:
    """`template` with its `{names}` filled in; `{{` and `}}` are braces.

    Raises: RecipeError, for a name that the data does not have, and for a template that cannot be read.
    """
    filled = []
    for literal, name, spec, conversion in _parsed(template):
        filled.append(literal)
        if name is None:
            continue
        if spec or conversion or name not in fields:
            raise RecipeError(
                f"data.template: the data has no {{{name}}}.{did_you_mean(name, fields)} Write {{{{ and }}}} for braces that are text."
            )
        filled.append(fields[name])
    return "".join(filled)


@dataclass(frozen=True)
class Wording:
    """The user's turn of pairs and of labelled texts.

    Of several templates each row gets one: which is a function of the seed, the row's number and its text, so that a row is asked the same in
    every epoch and run, in training and in evaluation.
    """

    templates: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises: RecipeError, for a template that cannot be read, or that is the same for every row."""
        for template in self.templates:
            if not any(name is not None for _, name, _, _ in _parsed(template)):
                raise RecipeError(
                    f"data.template: {template!r} names no column, so that every row would ask the same. Write {{text}} or {{source}} where the row's text belongs."
                )

    @classmethod
    def of(cls, template: str | Sequence[str] | None, labels: tuple[str, ...] = (), seed: int = 0) -> "Wording":
        """From one template, several, or none: the text as it is."""
        given = () if template is None else (template,) if isinstance(template, str) else tuple(template)
        return cls(given, labels, seed)

    def request(self, example: Completion | Labelled) -> str:
        """What is asked: a template filled in, else the source text (two texts parted by a line break)."""
        if isinstance(example, Completion):
            fields = {"source": example.source, "text": example.source}
            plain = example.source
        else:
            fields = {"text": example.text, "labels": ", ".join(self.labels)}
            if example.text_pair is not None:
                fields["text_pair"] = example.text_pair
            plain = example.text if example.text_pair is None else f"{example.text}\n{example.text_pair}"
        if not self.templates:
            return plain
        return fill(self.templates[self._choice(example.origin.row, plain)], **fields)

    def _choice(self, row: int, text: str) -> int:
        if len(self.templates) == 1:
            return 0
        digest = blake2b(f"{self.seed}\n{row}\n{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % len(self.templates)
