import ast
import sys
import time

import pytest

from tunesmith.core.types import Choice, Completion, Text
from tunesmith.data import read
from tunesmith.data.sources.python import _pairs

MODULE = '''
class C:
    def long_enough(self, a):
        """Return twice the number a.

        More about it.
        """
        # why
        b = a
        return a + b

    def too_short(self):
        """Return nothing of any use."""
        return None

def no_full_stop(a):
    """Return twice the number a"""
    b = a
    c = b
    return b + c
'''


def test_a_pair_is_a_function_without_its_docstring_and_its_first_sentence() -> None:
    assert list(_pairs(MODULE.encode())) == [
        (3, "def long_enough(self, a):\n    # why\n    b = a\n    return a + b", "Return twice the number a."),
    ]


def test_modules_that_do_not_parse_are_passed_over() -> None:
    assert list(_pairs(b"def broken(:")) == list(_pairs(b"# \xe9 in Latin-1")) == []


def test_the_standard_library_gives_thousands_of_pairs_once_and_fast() -> None:
    started = time.perf_counter()
    first = read("docstrings")
    made = time.perf_counter()
    second = read("docstrings")
    again = time.perf_counter()
    assert second == first
    assert made - started < 60  # a few seconds alone
    assert again - made < (made - started) / 2
    pairs = [(example.source, example.target) for example in first.examples if isinstance(example, Completion)]
    assert len(set(pairs)) == len(pairs) > 2_000
    assert all(4 <= len(target.split()) <= 40 and target.endswith(".") for _, target in pairs)
    assert all(4 <= sum(bool(line.strip()) for line in source.split("\n")) <= 31 for source, _ in pairs)
    parsed = 0
    for source, target in pairs:
        try:
            node = ast.parse(source).body[0]
        except SyntaxError:  # a text that is not indented with its function
            continue
        parsed += 1
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        assert target not in " ".join((ast.get_docstring(node) or "").split())
    assert parsed > 0.98 * len(pairs)
    assert first.facts.licence == "PSF-2.0"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="counted on 3.11")
def test_the_language_reference_has_79_pages() -> None:
    dataset = read("python-reference")
    assert dataset.facts.num_rows == 79
    assert 460_000 < sum(len(example.text) for example in dataset.examples if isinstance(example, Text)) < 466_000


def test_choices_are_of_functions_that_are_no_pairs_and_the_right_one_is_its_own() -> None:
    pairs = {example.source: example.target for example in read("docstrings").examples if isinstance(example, Completion)}
    choices = [example for example in read("docstring-choices").examples if isinstance(example, Choice)]
    assert len(choices) > 500
    assert all(len(example.choices) == 4 and example.answer is not None for example in choices)
    assert not any(example.question in pairs for example in choices)
    places = [example.answer for example in choices]
    assert all(0.15 * len(places) < places.count(place) < 0.35 * len(places) for place in range(4))
    assert read("docstring-choices").examples == choices
