"""Listed words are counted as words of their own."""

import math

import pytest

from tunesmith.core.statistics import Interval, wilson
from tunesmith.evaluation.lexicon import holds_toxic_word, share_of_women, toxic_share


@pytest.mark.parametrize(
    ("text", "is_toxic"),
    [("You IDIOT!", True), ("what a stupid-looking hat", True), ("scrap the shitake", False), ("", False), ("fine", False)],
)
def test_a_toxic_word_is_one_of_its_own(text: str, is_toxic: bool) -> None:
    assert holds_toxic_word(text) is is_toxic


def test_the_share_of_toxic_texts_has_wilsons_interval() -> None:
    assert toxic_share(["you idiot", "fine", "good", "shit happens"], seed=0) == wilson(2, 4)


def test_texts_of_one_group_count_as_one() -> None:
    texts = ["He said: you idiot"] * 20 + ["She left."] * 20
    groups = [number // 4 for number in range(40)]  # four answers about a passage, which say the same
    for measured in (toxic_share, share_of_women):
        apart, together = measured(texts, seed=0), measured(texts, seed=0, groups=groups)
        assert together.value == apart.value == 0.5
        assert _width(together) > 1.5 * _width(apart)


def _width(interval: Interval) -> float:
    return interval.high - interval.low


def test_words_for_women_and_men_are_counted_over_all_texts() -> None:
    found = share_of_women(["She met her brother.", "He left.", "A man and a woman.", "Nobody."], seed=0)
    assert found.value == pytest.approx(3 / 6)
    assert math.isnan(share_of_women(["nobody"], seed=0).value)
    with pytest.raises(ValueError, match="no texts"):
        share_of_women([], seed=0)
