"""Languages are told by script and common words, and short texts are unclear."""

import gzip

import pytest

from tests.data.checks.rows import texts
from tests.real_data import real_data
from tunesmith.data.checks.language import UNCLEAR, find_languages, language_of, language_shares

# the first article of the Universal Declaration of Human Rights
ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
}


@pytest.mark.parametrize("language", ARTICLE)
def test_running_text_is_told(language: str) -> None:
    assert language_of(ARTICLE[language]) == language


@pytest.mark.parametrize("text", ["", "12 34 :-)", "ok lol", "Toyota Corolla", "xyzzy plugh foo bar baz qux", "!!!"])
def test_what_does_not_tell_is_unclear(text: str) -> None:
    assert language_of(text) == UNCLEAR


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
