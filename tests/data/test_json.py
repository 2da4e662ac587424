"""An array read item by item holds what Python's own parser says it does, wherever the chunks are cut."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.data._json import array_items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def cut(content: bytes, rng: random.Random, most: int) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        size = rng.randint(1, most)
        yield content[at : at + size]
        at += size


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, max_size=6), st.booleans(), st.sampled_from([None, 1, "\t"]), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_items_are_those_of_json_loads_wherever_chunks_are_cut(
    items: list[Any], as_ascii: bool, indent: Any, most: int, rng: random.Random
) -> None:
    content = json.dumps(items, ensure_ascii=as_ascii, indent=indent).encode("utf-8", "surrogatepass")
    assert list(array_items(cut(content, rng, most), "a.json")) == json.loads(content)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(VALUES, max_size=4),
    st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=3),
    st.integers(1, 30),
    st.randoms(use_true_random=False),
)
def test_the_array_at_the_key_data_is_found_among_other_keys(
    items: list[Any], others: dict[str, Any], most: int, rng: random.Random
) -> None:
    others.pop("data", None)
    content = json.dumps({**others, "data": items, "~": others}).encode()
    assert list(array_items(cut(content, rng, most), "a.json")) == items


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), st.integers(1, 30), st.data(), st.randoms(use_true_random=False))
def test_what_json_loads_refuses_is_refused_in_one_line(items: list[Any], most: int, data: st.DataObject, rng: random.Random) -> None:
    """A byte is taken out: where the rest is still JSON, it is read as json.loads reads it, else refused."""
    content = json.dumps(items).encode()
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + content[at + 1 :]
    try:
        wanted = json.loads(changed, object_pairs_hook=_once)
    except ValueError:
        wanted = None
    if isinstance(wanted, list):
        assert list(array_items(cut(changed, rng, most), "a.json")) == wanted
    else:
        with pytest.raises(DataError, match=r"^a\.json[:\d]*: ") as caught:
            list(array_items(cut(changed, rng, most), "a.json"))
        assert "\n" not in str(caught.value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_errors_name_line_and_column_wherever_chunks_are_cut(most: int) -> None:
    content = b'[\n  {"text": "one"},\n  {"text": "two" "three"}\n]'
    with pytest.raises(DataError, match=r"a\.json:3: broken JSON: Expecting ',' delimiter, column 18\."):
        list(array_items(cut(content, random.Random(1), most), "a.json"))


def test_items_come_before_the_rest_is_read() -> None:
    chunks = iter([b'[{"a": 1}, ', b'{"a": 2}, ', b"broken"])
    items = array_items(chunks, "a.json")
    assert next(items) == {"a": 1}
    assert next(chunks) == b'{"a": 2}, '
