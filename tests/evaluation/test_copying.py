"""Runs of words that were copied, found as a search by eye finds them."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluation.copying import Copied, first_words, longest_copied

SOURCE = ["The quick brown fox jumps over the lazy dog.", "A dog sleeps. It's late!"]


def test_the_longest_run_is_told_as_it_was_written() -> None:
    written = ["He saw: the Quick, brown\nfox -- jumps up.", "nothing like it", "so very late"]
    assert longest_copied(written, SOURCE) == [Copied(5, "the Quick, brown\nfox -- jumps"), Copied(0, ""), Copied(1, "late")]


def test_no_run_crosses_from_one_text_into_the_next() -> None:
    assert longest_copied(["lazy dog a dog"], SOURCE) == [Copied(2, "lazy dog")]
    assert longest_copied(["over the", "lazy dog"], SOURCE) == [Copied(2, "over the"), Copied(2, "lazy dog")]


def test_nothing_written_and_nothing_to_copy_from() -> None:
    assert longest_copied([""], SOURCE) == [Copied(0, "")]
    assert longest_copied(["the dog"], []) == [Copied(0, "")]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=3))
def test_it_is_the_longest_run_that_any_pair_of_places_has(written: list[str], sources: list[list[str]]) -> None:
    runs = {tuple(source[i:j]) for source in sources for i in range(len(source)) for j in range(i + 1, len(source) + 1)}
    longest = max((j - i for i in range(len(written)) for j in range(i + 1, len(written) + 1) if tuple(written[i:j]) in runs), default=0)
    (found,) = longest_copied([" ".join(written)], [" ".join(source) for source in sources])
    assert found.num_words == longest


def test_a_beginning_is_half_of_a_short_text() -> None:
    assert first_words("one two, three four five", 40) == ("one two", ", three four five")
    assert first_words("one two three four five six", 2) == ("one two", " three four five six")
    assert first_words("one", 40) == ("one", "")
