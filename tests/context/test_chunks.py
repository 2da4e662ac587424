"""Documents are cut where they are made of parts, and nothing of them is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.context.chunks import Span, split


def cut(text: str, most: int, overlap: int = 0) -> list[str]:
    return [text[span.start : span.end] for span in spans(text, most, overlap)]


def spans(text: str, most: int, overlap: int = 0) -> list[Span]:
    """With words as tokens."""
    return split(text, [match.start() for match in re.finditer(r"\S+", text)], most_tokens=most, overlap_tokens=overlap)


def test_a_short_text_is_one_passage() -> None:
    assert spans("  one two\n", 5) == [Span(2, 9)]
    assert spans(" \n ", 5) == []


def test_a_passage_ends_at_the_strongest_boundary_of_its_second_half() -> None:
    assert cut("a b c. d\n\ne f g h i", 6) == ["a b c. d", "e f g h i"]
    assert cut("a b c d. e f g h", 6) == ["a b c d.", "e f g h"]
    assert cut("a\n\nb c d e f g h", 6) == ["a\n\nb c d e f", "g h"]  # the paragraph ends in the first half
    assert cut("a b c d\n## Next\ne f\n\ng h i", 8) == ["a b c d", "## Next\ne f\n\ng h i"]


def test_the_next_passage_begins_with_the_last_sentences_of_the_one_before() -> None:
    assert cut("a b. c d. e f. g h. i j.", 6, 2) == ["a b. c d. e f.", "e f. g h. i j."]
    assert cut("a b c d e f g h i j", 6, 2) == ["a b c d e f", "g h i j"]  # no sentence begins there


def test_nothing_is_repeated_across_a_heading() -> None:
    assert cut("a b. c d.\n# Next\ne f. g h. i j.", 7, 2) == ["a b. c d.", "# Next\ne f. g h.", "g h. i j."]


def test_a_passage_knows_the_headings_that_it_stands_under() -> None:
    text = "# Guide\na b\n## Install ##\nc d e\n```sh\n# no heading\n```\n## Use\nf g h"
    assert [span.headings for span in spans(text, 6)] == [("Guide",), ("Guide", "Install"), ("Guide", "Install"), ("Guide", "Use")]


def test_a_word_of_many_tokens_is_cut_between_them() -> None:
    assert [(span.start, span.end) for span in split("abcdefgh", range(8), most_tokens=3, overlap_tokens=1)] == [(0, 3), (3, 6), (6, 8)]


@pytest.mark.parametrize(("most", "overlap"), [(1, 0), (4, 2), (4, -1)])
def test_lengths_that_go_nowhere_are_refused(most: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=f"passages of {most} tokens with an overlap of {overlap}"):
        spans("a b", most, overlap)


@given(st.text(alphabet="ab.# \n`~=-", max_size=200), st.integers(2, 12), st.integers(0, 5))
def test_nothing_but_white_space_is_left_out_and_no_passage_is_too_long(text: str, most: int, overlap: int) -> None:
    found = spans(text, most, min(overlap, (most - 1) // 2))
    seen, before = set[int](), Span(-1, -1)
    for span in found:
        assert before.start < span.start
        assert before.end < span.end
        assert len(text[span.start : span.end].split()) <= most
        seen.update(range(span.start, span.end))
        before = span
    assert all(text[place].isspace() for place in set(range(len(text))) - seen)


def test_underlined_titles_are_headings_by_the_order_of_their_lines() -> None:
    text = "Top\n***\na b c\n\nSub\n---\nd e f\n\nNext\n****\ng h i\n\nno title\n--\nj"
    assert [(text[span.start : span.end].split()[0], span.headings) for span in spans(text, 5)] == [
        ("Top", ("Top",)),
        ("Sub", ("Top", "Sub")),
        ("Next", ("Next",)),
        ("no", ("Next",)),
    ]


def titles(text: str) -> list[tuple[str, ...]]:
    """Of each heading, in the words of its last line."""
    return list(dict.fromkeys(span.headings for span in spans(text, 2)))


def test_lines_of_waves_under_titles_open_no_code() -> None:
    book = "Book\n====\na b\n\nAlpha\n~~~~~\nc d\n\nBeta\n----\ne f\n\nGamma\n~~~~~\ng h"
    assert titles(book) == [("Book",), ("Book", "Alpha"), ("Book", "Alpha", "Beta"), ("Book", "Gamma")]
    assert titles("# Book\na\n\n~~~\n# code\nb\n~~~\n\nc") == [("Book",)]
    assert titles("# Book\n\nPart\n----\na b\n\nOther\n=====\nc d") == [("Book",), ("Book", "Part"), ("Other",)]
    assert titles("# Book\na table\n-------\nb c") == [("Book",)]  # the second line of a paragraph is no title


def test_a_long_text_of_odd_lines_is_cut_in_no_time() -> None:
    text = "\n".join("`" * (3 + number) for number in range(500)) + "\n" + "\n".join(f"# {number}\na b" for number in range(4000))
    assert spans(text, 8)
    assert len({span.headings for span in spans("\n".join(f"# {number}\na b" for number in range(4000)), 8)}) > 1900
