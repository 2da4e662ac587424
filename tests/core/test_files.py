"""Hashes that caches are found by."""

from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.core.files import folders_made, hash_of, hash_of_each, staged_file
from tunesmith.core.types import Chat, Labelled, Message, Origin, Text

HERE = Origin("file", 1)
EXAMPLES = [
    Text("a", HERE),
    Labelled("a", "b", HERE),
    Labelled("a", None, HERE),
    Labelled("a", "None", HERE),
    Labelled("a", "b", HERE, "c"),
    Chat((Message("user", "a"),), HERE),
    Labelled("a", "b", replace(HERE, row=2)),
    Labelled("a\nb", "b", HERE),
    Labelled("a\ud800", "b", HERE),
]


def test_examples_that_differ_in_anything_have_another_hash() -> None:
    assert len({hash_of_each([example]) for example in EXAMPLES}) == len(EXAMPLES)
    assert hash_of_each(EXAMPLES) != hash_of_each(EXAMPLES[::-1])


def test_equal_examples_have_one_hash_whatever_shares_their_texts() -> None:
    text = "".join(["a", "b"])
    assert hash_of_each([Text(text, HERE), Text(text, HERE)]) == hash_of_each([Text("ab", Origin("file", 1)), Text("a" + "b", HERE)])


def test_half_of_a_character_has_a_hash_too() -> None:
    assert hash_of({"text": "x\ud83d"}) != hash_of({"text": "x"})


def test_folders_that_were_made_go_away_again_where_the_block_fails(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "deeper" / "a.csv"
    with pytest.raises(ValueError, match="broken"), folders_made(out), staged_file(out) as staged:
        staged.write_text("half")
        raise ValueError("broken")
    assert list(tmp_path.iterdir()) == []
    with folders_made(out), staged_file(out) as staged:
        staged.write_text("whole")
    assert out.read_text() == "whole"
