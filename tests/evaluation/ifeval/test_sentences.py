"""Sentences are counted by punctuation, without what only looks like their end."""

import pytest

from tunesmith.evaluation.ifeval.sentences import count_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("... !", 0),
        ("One.", 1),
        ("No stop at the end", 1),
        ("One. Two! Three? Four", 4),
        ("Really?! Yes... And so on.", 3),
        ("Wait... what is that?", 1),
        ("Dr. Smith met Mrs. Jones at 5 p.m. on Jan. 5.", 1),
        ("He came at 5 p.m. She did not.", 2),
        ("J. R. R. Tolkien wrote it. So did I. Nobody else did.", 3),
        ("It costs 3.14 dollars, e.g. Here. See www.example.com for more.", 2),
        ("all in small letters. so is this. and this!", 3),
        ('"Stop!" he said. "Why?" She left.', 3),
        ("He said (quietly.) Then he left.", 2),
        ("**Bold one.** *Another one.*", 2),
        ("1. First thing\n2. Second thing\n3. Third thing", 1),
        ("1. First thing.\n2. Second thing.\na. Third thing.", 3),
        ("* One point.\n* Another point.", 2),
        ("A line\nthat goes on\nand ends.", 1),
        ("आज अच्छा है। कल भी अच्छा था।", 2),
        ("今天天气很好。明天呢？", 2),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert count_sentences(text) == count
