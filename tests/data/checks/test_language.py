"""Languages of splits: how many rows are in which, and what is worth a note or a warning."""

import gzip

import pytest

from tests.data.checks.rows import texts
from tests.real_data import real_data
from tunesmith.core.language import UNCLEAR
from tunesmith.data.checks.language import find_languages, language_shares

# the first article of the Universal Declaration of Human Rights
ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
}


@pytest.mark.parametrize(("file", "language"), [("test_2016_flickr.en.gz", "en"), ("test_2016_flickr.de.gz", "de")])
def test_captions_of_a_real_set_are_told_or_unclear_and_hardly_ever_wrong(file: str, language: str) -> None:
    lines = gzip.decompress((real_data("multi30k") / file).read_bytes()).decode().splitlines()
    counts = language_shares(texts(*lines))
    told = sum(count for name, count in counts.items() if name != UNCLEAR)
    assert counts[language] / told > 0.99
    assert told / len(lines) > 0.8


def test_a_second_language_is_a_note_and_one_that_is_only_judged_a_warning() -> None:
    splits = {"train": texts(*[ARTICLE["en"]] * 18, *[ARTICLE["fr"]] * 4), "test": texts(*[ARTICLE["en"]] * 6, *[ARTICLE["de"]] * 4)}
    counted = {split: language_shares(rows) for split, rows in splits.items()}
    assert counted == {"train": {"en": 18, "fr": 4}, "test": {"en": 6, "de": 4}}
    found = find_languages(splits, counted)
    assert [(one.severity, one.split, one.count) for one in found] == [
        ("note", "train", 4),
        ("note", "test", 4),
        ("warning", "train/test", 4),
    ]
    assert "4 of the 22 rows of train whose language is clear are in fr" in found[0].text
    assert "40% of test is in de" in found[2].text
    assert not find_languages({"train": texts(ARTICLE["en"])}, {"train": {"en": 1}})
