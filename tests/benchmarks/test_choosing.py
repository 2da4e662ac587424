"""The comparisons of docs/choosing.md."""

import json

import pytest

from benchmarks.choosing import CASES, FILE, case_lines, kept, with_lines
from benchmarks.workload import BenchmarkError
from tunesmith.recipe import load


def test_the_page_is_what_the_command_makes_of_what_is_kept() -> None:
    text = FILE.read_text(encoding="utf-8")
    documents = kept()
    assert documents
    assert with_lines(text, {name: list(case_lines(name, one)) for name, one in documents.items()}) == text


def test_every_comparison_has_its_place_and_a_recipe_that_reads() -> None:
    text = FILE.read_text(encoding="utf-8")
    for name, case in CASES.items():
        assert with_lines(text, {name: ["x"]}).count("\nx\n") == 1
        changes = [one for one in case.arguments[1:] if "=" in one]
        assert load(case.arguments[0], changes).arms


def test_every_domain_of_an_arm_has_its_figure() -> None:
    document = kept()["changing"]
    title, *rows = [line for line in case_lines("changing", document) if line.startswith("|")]
    for name, arm in document["arms"].items():
        (row,) = [line for line in rows if line.startswith(f"| `{name}` ")]
        cells = dict(zip(title.split(" | "), row.split(" | "), strict=True))
        for domain, found in arm["domains"].items():
            assert cells[domain].startswith(f"{found['value']:.2f} ("), (name, domain)


def test_nothing_that_is_kept_names_the_folder_where_it_ran() -> None:
    for document in kept().values():
        assert not {"directory", "command", "recipe"} & {key for key, _ in _items(document)}
        assert "/tmp/" not in json.dumps(document)


def _items(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [*value.items(), *(pair for one in value.values() for pair in _items(one))]
    return [pair for one in value for pair in _items(one)] if isinstance(value, list) else []


def test_a_page_without_the_marks_is_one_line() -> None:
    with pytest.raises(BenchmarkError, match="the marks are missing, between which reviews stands"):
        with_lines("a page", {"reviews": ["x"]})
