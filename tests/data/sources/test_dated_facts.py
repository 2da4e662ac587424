"""Made-up facts that change from year to year."""

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import read
from tunesmith.data.read import read_table

YEARS = (2023, 2024, 2025)


def answers(part: str, year: int, seed: str = "") -> dict[str, str]:
    return {row["question"]: row["answer"] for row in read_table(f"dated-facts:{part}:{year}{seed}").records}


def test_a_third_of_the_facts_change_from_year_to_year_and_no_value_comes_again() -> None:
    first, second, third = (answers("questions", year) for year in YEARS)
    assert len(first) == 80
    assert list(first) == list(second) == list(third)
    for before, after in ((first, second), (second, third)):
        assert sum(before[question] != after[question] for question in before) == 27
    assert all(third[question] in (second[question], value) or third[question] not in first.values() for question, value in first.items())
    assert len(set(first.values())) == 80


@pytest.mark.parametrize("year", YEARS)
def test_the_documents_of_a_year_hold_every_answer_beside_its_town(year: int) -> None:
    texts = {record["document"]: record["text"] for record in read_table(f"dated-facts:documents:{year}").records}
    assert len(texts) == 20
    for question, answer in answers("questions", year).items():
        [town] = [name for name in texts if name in question]
        assert f" {answer}." in texts[town]


def test_what_is_learned_says_the_same_in_other_words_than_what_is_asked() -> None:
    asked, learned = answers("questions", 2024), answers("training", 2024)
    assert len(learned) == 4 * len(asked)
    assert not set(asked) & set(learned)
    assert sorted(learned.values()) == sorted(4 * list(asked.values()))
    assert read("dated-facts:training:2024").facts.format == "pairs"


def test_another_seed_is_another_world_and_the_same_one_the_same() -> None:
    assert answers("questions", 2025) == answers("questions", 2025, ":0")
    assert answers("questions", 2025) != answers("questions", 2025, ":1")


@pytest.mark.parametrize("source", ["dated-facts", "dated-facts:questions", "dated-facts:questions:2022", "dated-facts:answers:2023"])
def test_a_part_or_a_year_that_is_none_is_one_line(source: str) -> None:
    with pytest.raises(DataError, match=f"{source}: expected dated-facts:PART:YEAR"):
        read_table(source)
