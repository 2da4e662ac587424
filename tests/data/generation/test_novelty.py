"""A question is new where it shares fewer shingles than that with every known one."""

from tunesmith.core.types import Chat, Choice, Completion, Labelled, Message, Origin, SpanQuestion
from tunesmith.data.generation.novelty import Novelty, question_of
from tunesmith.data.minhash import jaccard

HERE = Origin("x", 1)


def test_what_is_like_a_seed_or_a_test_row_or_an_earlier_row_is_told_and_not_kept() -> None:
    known = Novelty(0.7, ["What is the capital of France?"], ["How far away is the moon?"])
    assert known.take("what is the  capital of FRANCE?") == "like_seed"
    assert known.take("How far away is the moon??") == "like_other"
    assert known.take("Which animals sleep in winter?") is None
    assert known.take("Which animals sleep in winter") == "like_row"


def test_the_threshold_is_the_share_of_shingles_in_common() -> None:
    one, other = "Which animals sleep in winter?", "Which animals sleep in summer?"
    assert 0.4 < jaccard(one, other) < 0.75
    assert Novelty(0.9, [one]).take(other) is None
    assert Novelty(0.3, [one]).take(other) == "like_seed"


def test_nothing_is_known_where_nothing_was_given() -> None:
    assert Novelty(0.7, []).take("a") is None


def test_the_question_is_what_is_asked_without_answer_context_choices_and_system_message() -> None:
    turns = Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")
    assert question_of(Chat(turns, HERE)) == "a\nb\nc"
    assert question_of(Completion("a", "b", HERE)) == "a"
    assert question_of(Labelled("a", "b", HERE, "c")) == "a\nc"
    assert question_of(SpanQuestion("a", "b", ((0, "b"),), HERE)) == "a"
    assert question_of(Choice("a", ("b", "c"), 0, HERE)) == "a"
