"""The tokens that a run adds to its model, and how they are found again."""

import json
from collections.abc import Iterable
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from tunesmith.core.errors import RecipeError, RunError
from tunesmith.core.files import write_json
from tunesmith.core.types import Example
from tunesmith.data.checks.texts import full_text
from tunesmith.data.new_tokenizer import learn_tokenizer
from tunesmith.data.vocabulary import in_pieces, words_to_add
from tunesmith.method._new_rows import load_rows, new_token_ids
from tunesmith.model.load import LoadedModel
from tunesmith.model.vocabulary import grow
from tunesmith.recipe import Recipe

__all__ = ["TOKENS_FILE", "add_saved_tokens", "add_tokens", "add_trained_tokens", "learned_tokenizer", "save_tokens"]

TOKENS_FILE = "new_tokens.json"


def add_tokens(recipe: Recipe, model: LoadedModel, examples: Iterable[Example]) -> LoadedModel:
    """The model with the tokens that `model.add_tokens` asks for. Raises: RecipeError, where there is no text to make one of.

    Args:
        examples: of the training split, that words are counted in.
    """
    asked = recipe.model.add_tokens
    if not asked:
        return model
    texts = words_to_add((full_text(example) for example in examples), model.tokenizer, asked) if isinstance(asked, int) else asked
    pieces = in_pieces(texts, model.tokenizer)
    if not pieces:
        where = "the training texts hold no word that" if isinstance(asked, int) else "it names no text that"
        raise RecipeError(f"{recipe.name}: model.add_tokens: {where} the model's tokenizer breaks into two or more. Leave it out.")
    return grow(model, pieces)


def learned_tokenizer(recipe: Recipe, examples: Iterable[Example]) -> PreTrainedTokenizerFast:
    """A tokenizer for a model that is made anew, as `model.vocabulary` asks for it, learned from examples."""
    spec = recipe.model.vocabulary
    return learn_tokenizer((full_text(example) for example in examples), size=spec.size, of=spec.of)


def save_tokens(model: LoadedModel, folder: Path) -> None:
    """Write the texts of the added tokens, in their order, beside what trained. Nothing where none were added."""
    ids = new_token_ids(model.trunk)
    if ids:
        write_json(folder / TOKENS_FILE, {"tokens": model.tokenizer.convert_ids_to_tokens(list(ids))})


def add_saved_tokens(model: LoadedModel, folder: Path) -> LoadedModel:
    """The model with the tokens that `save_tokens` wrote; as it is where there are none. Raises: RunError, where the file is broken."""
    file = folder / TOKENS_FILE
    if not file.is_file():
        return model
    try:
        texts = json.loads(file.read_text(encoding="utf-8"))["tokens"]
        return grow(model, in_pieces(texts, model.tokenizer))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(f"{file}: cannot be read ({error}). The run is damaged.") from None


def add_trained_tokens(model: LoadedModel, folder: Path) -> LoadedModel:
    """As `add_saved_tokens`, with the rows that were trained: they belong to the base of what trains next. Raises: RunError, MethodError."""
    grown = add_saved_tokens(model, folder)
    if grown is not model:
        load_rows(grown.trunk, folder)
        del grown.trunk.new_token_ids
    return grown
