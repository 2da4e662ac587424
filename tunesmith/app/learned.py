"""What a run learned to do, read off its files: enough to check a question before a model is loaded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.app.run_recipe import run_recipe
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.recipe import Recipe

__all__ = [
    "Learned",
    "answers",
    "checked_given",
    "checked_length",
    "checked_texts",
    "learned",
    "named",
    "require_head",
    "require_language_model",
    "require_trained",
    "writes",
]


_PAIRS = {"span_qa": "(question, context)", "reward_model": "(prompt, answer)", "grading": "(prompt, answer)"}
"""Kind -> the two texts that are asked about."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A run's recipe, its objective and task, and the format of what it learned from."""

    recipe: Recipe
    objective: str
    kind: str
    """What it learned to do: one of the values of `chosen_objective.KINDS`."""
    format: str
    """What the training data was read as."""

    @property
    def read_as(self) -> str:
        """What rows are read as whose answers are to be predicted: of a reward model, a prompt with one answer, which may be a dialogue where ranked answers were learned."""
        return {"ranked": "judged dialogue"}.get(self.format, "judged") if self.kind == "reward_model" else self.format


def learned(directory: RunDirectory) -> Learned:
    """Raises: RunError, where the run did not get to its report."""
    task = directory.read_json(directory.report_json)["task"]
    return Learned(run_recipe(directory), task["objective"], task["kind"], directory.read_json(directory.data)["train"]["format"])


def require_trained(known: Learned, run: str) -> None:
    """Raises: RunError, where nothing was trained."""
    if not known.recipe.trains:
        raise RunError(f"{run}: trained nothing: its model is the base, with a context before each question. Name the base.")


def writes(kind: str) -> bool:
    """Whether a run of this kind answers with text of its own, and not with labels, numbers, tags or spans."""
    return kind == "language_modelling" or answers(kind)


def answers(kind: str) -> bool:
    """Whether a run of this kind answers prompts."""
    return kind in ("generation", "preference", "policy")


def named(kind: str) -> str:
    """What a run of this kind tuned, with its article, where that is no language model."""
    return {"classification": "a classifier", "reward_model": "a reward model", "grading": "a model that grades answers"}.get(
        kind, f"a head for {kind.replace('_', ' ')}"
    )


def require_head(kind: str) -> None:
    """Raises: UsageError, where the run is a language model's."""
    if kind == "masked_language_modelling":
        require_language_model(kind)
    if writes(kind):
        raise UsageError("this run tuned a language model: ask it with generate(prompts), or `tunesmith chat`.")


def require_language_model(kind: str) -> None:
    """Raises: UsageError, where the run is a classifier's, of another head, or of an encoder that fills in words."""
    if kind == "masked_language_modelling":
        raise UsageError(
            "this run tuned an encoder to fill in masked words: it writes no text. Tune a classifier on it: tunesmith tune RECIPE model=run:ID."
        )
    if not writes(kind):
        raise UsageError(f"this run tuned {named(kind)}: ask it with predict(texts), or `tunesmith predict`.")


def checked_length(max_new_tokens: int | None) -> int | None:
    """`max_new_tokens`. Raises: UsageError, where it is no number of tokens."""
    if max_new_tokens is not None and (isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or max_new_tokens < 1):
        raise UsageError(f"max_new_tokens: found {max_new_tokens!r}, expected a whole number of at least 1.")
    return max_new_tokens


def checked_texts(given: Any, name: str, *, pairs: bool = False) -> list[Any]:
    """`given` as a list of texts, or, with `pairs`, of texts and pairs of texts.

    Args:
        name: what messages call it.
    Raises: UsageError, naming index and type, where something else is in it; a text alone is no list of texts.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable) or hasattr(given, "columns"):
        raise UsageError(
            f"{name}: found {type(given).__name__}, expected a list of texts.{' Put the text in a list.' if isinstance(given, str) else ''}"
        )
    texts = list(given)
    for index, text in enumerate(texts):
        is_pair = pairs and isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(part, str) for part in text)
        if not isinstance(text, str) and not is_pair:
            raise UsageError(f"{name}[{index}]: found {type(text).__name__}, expected a text{' or a pair of texts' if pairs else ''}.")
        for part in (text,) if isinstance(text, str) else text:
            if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
                raise UsageError(f"{name}[{index}]: holds half of a character (a lone surrogate). Decode the text as what it is.")
    return texts


def checked_given(given: Any, kind: str) -> list[Any]:
    """What is to be predicted: texts or pairs of them, (question, context) for spans, lists of words for tags. Raises: UsageError."""
    if kind == "token_classification":
        rows = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping) else [given]
        for index, words in enumerate(rows):
            if not isinstance(words, list | tuple) or not words:
                raise UsageError(f"texts[{index}]: found {type(words).__name__}, expected a list of words. Part the text into words first.")
            checked_texts(words, f"texts[{index}]")
        return rows
    checked = checked_texts(given, "texts", pairs=True)
    alone = next((index for index, one in enumerate(checked) if isinstance(one, str)), None)
    if kind in _PAIRS and alone is not None:
        raise UsageError(f"texts[{alone}]: found a text, expected a pair: {_PAIRS[kind]}.")
    return checked
