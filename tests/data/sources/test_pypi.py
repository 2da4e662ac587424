import io
import tarfile
from pathlib import Path

import pytest

from tunesmith.core.types import Completion, Labelled
from tunesmith.data import read
from tunesmith.data.sources import pypi


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def tiny_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = "1\t2.5\tA cliché, but good.\r\n2\t-0.5\tDull.\r\n3\t0.49\tSo so.\r\n4\t-3\tAwful.\r\n".encode()
    ratings = b"\xef\xbb\xbf1\t2.5\t0.5\t[2, 3]\r\n2\t-0.5\t0\t[-1, 0]\r\n3\t0.49\t0\t[0]\r\n4\t-2\t0\t[-2]\r\n"
    inner = {"hutto_ICWSM_2014/tweets_GroundTruth.txt": truth, "hutto_ICWSM_2014/tweets_anonDataRatings.txt": ratings}
    talk = b"categories:\n- ai\nconversations:\n- - Hello\n  - Hi\n  - More\n- - Hello\n  - Hi\n- - 7\n  - true story\n- - alone\n"
    folder = "chatterbot_corpus/data/english"
    files = {
        "vaderSentiment": archive({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": archive(inner)}),
        "chatterbot-corpus": archive(
            {f"{folder}/ai.yml": talk, f"{folder}/tech_support.yml": talk, "chatterbot_corpus/data/dutch/ai.yml": talk}
        ),
    }

    def fetch_package(project: str, version: str, filename: str, sha256: str) -> Path:
        path = tmp_path / filename
        path.write_bytes(files[project])
        return path

    monkeypatch.setattr(pypi, "fetch_package", fetch_package)


@pytest.mark.usefixtures("tiny_packages")
def test_ratings_become_labels_by_sign_and_those_near_zero_are_left_out() -> None:
    dataset = read("tweets")
    found = [(example.text, example.label, example.origin.row) for example in dataset.examples if isinstance(example, Labelled)]
    assert found == [("A cliché, but good.", "positive", 1), ("Dull.", "negative", 2), ("Awful.", "negative", 4)]
    assert dataset.facts.notes[0] == "tweets: 1 of 4 texts with a mean rating within 0.5 of zero were left out"
    assert "for 1 texts the published mean rating is not the mean" in dataset.facts.notes[1]
    assert dataset.facts.licence == "MIT"
    assert dataset.facts.citation is not None


@pytest.mark.usefixtures("tiny_packages")
def test_every_raters_rating_is_kept() -> None:
    table = pypi.Pypi().read("tweets")
    assert [(record["rating"], record["ratings"]) for record in table.records] == [(2.5, [2, 3]), (-0.5, [-1, 0]), (-3.0, [-2])]


@pytest.mark.usefixtures("tiny_packages")
def test_small_talk_is_the_first_pair_of_each_english_conversation_once() -> None:
    found = [(example.source, example.target) for example in read("small-talk").examples if isinstance(example, Completion)]
    assert found == [("Hello", "Hi"), ("7", "true story")]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("alias", "num_texts"), [("movie-reviews", 10_605), ("tweets", 4_200), ("product-reviews", 3_708), ("editorials", 5_190)]
)
def test_the_published_sets_are_whole(alias: str, num_texts: int) -> None:
    dataset = read(alias)
    left_out = int(dataset.facts.notes[0].split()[1])
    assert dataset.facts.num_rows + left_out == num_texts
    assert dataset.facts.labels == ("negative", "positive")
    assert not any("Ã" in example.text for example in dataset.examples if isinstance(example, Labelled))  # UTF-8 read as Latin-1


@pytest.mark.embedded
def test_small_talk_has_888_pairs() -> None:
    assert read("small-talk").facts.num_rows == 888
