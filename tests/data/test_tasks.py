"""How the tasks of a mixture are asked, and the answers that are judged by their likelihood."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Choice, Completion, Labelled, ModelFacts, Origin, Text
from tunesmith.data import Asked, TextEncoder

Facts = Callable[..., ModelFacts]
MOOD = Labelled("a fine film", "good", Origin("films", 1, "mood"))
QUESTION = Choice("2 + 2?", ("three", "four"), 1, Origin("quiz", 1, "quiz"))
TASKS = {"mood": Asked(("Mood of: {text} ({labels})",), ("bad", "good")), "quiz": Asked(("{question}\nOne of:\n{choices}",))}


def encoder_of(tokenizer: Any, facts: Facts, **options: Any) -> TextEncoder:
    return TextEncoder(tokenizer, facts(), tasks=TASKS, labelled_as="answer", **options)


def asked(encoder: TextEncoder, example: Any) -> str:
    text = encoder.spell(encoder.prompt(example))
    return text.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]


def test_each_task_is_asked_in_its_own_words(chatml: Any, facts: Facts) -> None:
    encoder = encoder_of(chatml, facts)
    assert asked(encoder, MOOD) == "Mood of: a fine film (bad, good)"
    assert asked(encoder, QUESTION) == "2 + 2?\nOne of:\n- three\n- four"
    assert asked(encoder, Completion("plain", "x", Origin("a", 1, "other"))) == "plain"


def test_choices_without_a_template_are_listed_below_their_question(chatml: Any, facts: Facts) -> None:
    assert asked(TextEncoder(chatml, facts()), QUESTION) == "2 + 2?\n- three\n- four"


def test_only_choices_and_labels_of_a_mixture_are_judged_among_answers(chatml: Any, facts: Facts) -> None:
    encoder = encoder_of(chatml, facts)
    assert encoder.choices(QUESTION) == ("three", "four")
    assert encoder.choices(MOOD) == ("bad", "good")
    assert encoder.choices(Labelled("x", "good", Origin("films", 1))) == ()
    assert encoder.choices(Completion("x", "y", Origin("a", 1, "mood"))) == ()


@pytest.mark.parametrize("kind", ["chatml", "base", "sentencepiece"])
def test_an_answer_that_is_judged_has_the_tokens_that_are_learned(kind: str, request: pytest.FixtureRequest, facts: Facts) -> None:
    encoder = encoder_of(request.getfixturevalue(kind), facts)
    for example, right in ((QUESTION, 1), (MOOD, 1)):
        encoded = encoder.encode(example)
        learned = tuple(token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored)
        assert encoder.answers(example)[right] == learned
        assert encoded.tokens == (*encoder.prompt(example), *learned)
        assert encoder.reference(example) == encoder.choices(example)[right]


def test_an_encoder_decoders_answers_end_as_its_targets_do(seq2seq: Any, facts: Facts) -> None:
    encoder = encoder_of(seq2seq, lambda: facts(is_causal=False, is_encoder_decoder=True, decoder_start_token_id=0))
    example = Choice("the film", ("good", "bad"), 0, Origin("quiz", 1, "quiz"))
    assert (*encoder.prompt(example), *encoder.answers(example)[0]) == encoder.encode(example).tokens


@pytest.mark.parametrize(
    ("template", "words"),
    [("no name", "data.mix.mood.template: 'no name' names no column"), ("{text", "data.mix.mood.template: cannot be read")],
)
def test_a_wrong_template_is_named_with_its_set(template: str, words: str, chatml: Any, facts: Facts) -> None:
    with pytest.raises(RecipeError, match=words):
        TextEncoder(chatml, facts(), tasks={"mood": Asked((template,))})
    encoder = TextEncoder(chatml, facts(), tasks={"mood": Asked(("{txt}",))})
    with pytest.raises(RecipeError, match=r'data\.mix\.mood\.template: the data has no {txt}\. Did you mean "text"'):
        encoder.prompt(MOOD)


def test_windows_that_overlap_read_what_was_learned_before_and_learn_the_rest_once(base: Any, facts: Facts) -> None:
    text = Text("the film was good the film was bad the film was dull", Origin("a", 1))
    whole = TextEncoder(base, facts()).windows(text)[0].tokens
    windows = TextEncoder(base, facts(), window_tokens=8, overlap_tokens=3).windows(text)
    assert len(windows) > 2
    assert all(one.tokens[-3:] == other.tokens[:3] for one, other in pairwise(windows))
    assert all(window.scored[:3] == (False, False, False) for window in windows[1:])
    assert windows[0].scored == (False,) + (True,) * 7
    learned = [token for window in windows for token, scored in zip(window.tokens, window.scored, strict=True) if scored]
    assert learned == list(whole[1:])


def test_an_overlap_as_long_as_a_window_is_refused(base: Any, facts: Facts) -> None:
    with pytest.raises(RecipeError, match="data.chunk: windows of 8 tokens that overlap by 8"):
        TextEncoder(base, facts(), window_tokens=8, overlap_tokens=8)
    with pytest.raises(RecipeError, match="at most 512 tokens"):
        TextEncoder(base, facts(), window_tokens=600)
