"""What an index finds, held against the spans that answer questions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.index_build import build_index
from tunesmith.app.index_check import check_index
from tunesmith.cli.main import run
from tunesmith.core.errors import DataError

TEXT = "# Cats\nthe cat sat on the mat\n# Dogs\na dog ran\n# Films\nthe film was very bad\n"


@pytest.fixture
def index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "pets.md").write_text(TEXT)
    build_index("library", Path("kept"), model=str(encoder_folder), passage_tokens=8, overlap_tokens=0)
    return Path("kept")


def asked(*rows: dict[str, Any]) -> Path:
    path = Path("questions.jsonl")
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_recall_overlap_and_gain_are_of_the_tokens_that_answer(index: Path) -> None:
    questions = asked(
        {"question": "cat mat", "references": ["the cat sat"], "document": "pets.md"},
        {"question": "dog", "references": [{"content": "a dog ran", "start_index": 37}], "corpus_id": "pets"},
    )
    found = check_index(index, questions, count=1)
    words = {name: one["value"] for name, one in found["ways"]["by_words"].items()}
    # "# Cats the cat sat on the mat" has 8 words, of which 3 are wanted; "# Dogs a dog ran" has 5, of which 3 are
    assert words == {"recall": 1, "iou": pytest.approx((3 / 8 + 3 / 5) / 2), "ndcg": 1}
    assert (found["rows"], found["left_out"], found["count"]) == (2, {}, 1)
    both, alone = found["ways"]["both"]["recall"]["value"], found["ways"]["by_meaning"]["recall"]["value"]
    assert found["differences"]["by_meaning"]["recall"]["value"] == pytest.approx(both - alone)
    assert check_index(index, questions, count=3)["ways"]["by_meaning"]["recall"]["value"] == 1


def test_questions_that_cannot_be_used_are_counted_with_their_reason(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"question": "cat", "references": json.dumps([{"content": "the cat sat"}]), "document": "pets.md"},
        {"question": "cow", "references": "the cow sat", "document": "pets.md"},
        {"question": "cat", "references": ["the cat sat"], "document": "other.md"},
        {"question": "", "references": ["the cat sat"], "document": "pets.md"},
        {"question": "cat", "references": [], "document": "pets.md"},
    ]
    found = check_index(index, asked(*rows))
    assert found["rows"] == 1
    assert found["left_out"]["2"] == "pets.md does not hold: the cow sat"
    assert set(found["left_out"]) == {"2", "3", "4", "5"}
    assert "expected question, references and document" in found["left_out"]["3"]
    assert run(["ask", str(index), "--check", "questions.jsonl", "-k", "2"]) == 0
    said = capsys.readouterr().out
    assert "both, less by words alone" in said
    assert "recall@2" in said
    assert "left out: row 2: pets.md does not hold: the cow sat" in said
    with pytest.raises(DataError, match=r"no question can be used. Row 1: pets.md does not hold: the cow"):
        check_index(index, asked(rows[1]))


def test_questions_on_documents_that_have_changed_are_left_out(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (Path("library") / "new.md").write_text("the dog was bad")
    questions = asked(
        {"question": "cat", "references": ["the cat sat"], "document": "pets"},
        {"question": "dog", "references": ["the dog was bad"], "document": "new"},
    )
    found = check_index(index, questions)
    assert found["rows"] == 1
    assert (
        found["left_out"]["2"]
        == f"new.md is not as it was indexed. Bring the index up to date: tunesmith index {tmp_path}/library --to kept."
    )
    (Path("library") / "pets.md").write_text(TEXT + "more\n")
    with pytest.raises(DataError, match=r"no question can be used. Row 1: pets.md is not as it was indexed"):
        check_index(index, questions)
    (Path("library") / "pets.md").write_text(TEXT)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert check_index(Path("../kept"), Path("../questions.jsonl"))["rows"] == 1


def test_a_reference_is_the_place_that_is_told(index: Path) -> None:
    (Path("library") / "pets.md").write_text("# Cats\nthe cat sat\n# Dogs\na dog ran\n# Films\nthe cat sat very good\n")
    build_index("library", index)
    second = {"content": "the cat sat", "start_index": 44}
    found = check_index(index, asked({"question": "very good", "references": [second], "document": "pets.md"}), count=1)
    assert found["ways"]["by_words"]["recall"]["value"] == 1
    found = check_index(index, asked({"question": "very good", "references": ["the cat sat"], "document": "pets.md"}), count=1)
    assert found["ways"]["by_words"]["recall"]["value"] == 0
    inside = check_index(index, asked({"question": "very", "references": ["ery goo"], "document": "pets.md"}), count=1)
    assert inside["ways"]["by_words"]["recall"]["value"] == 1


def test_a_document_is_called_by_its_name_with_or_without_its_ending(index: Path) -> None:
    for folder in ("x", "y"):
        (Path("library") / folder).mkdir()
        (Path("library") / folder / "readme.md").write_text(f"the film {folder}")
    build_index("library", index)
    names = ["x/readme.md", "y/readme", "readme", "pets"]
    rows = [{"question": "film", "references": ["the film"], "document": name} for name in names]
    left_out = check_index(index, asked(*rows))["left_out"]
    assert left_out == {"3": "readme is the name of x/readme.md, y/readme.md. Name one with its folder."}


def test_a_question_or_a_table_of_questions(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(index)]) == 2
    assert run(["ask", str(index), "why?", "--check", "questions.jsonl"]) == 2
    assert capsys.readouterr().err.count("expected a question, or --check FILE.") == 2
