"""An index is made, brought up to date by what changed, and searched."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import transformers

from tunesmith.app import index_build as under_test
from tunesmith.app.index import Embedder, open_index
from tunesmith.app.index_build import build_index
from tunesmith.app.watch import changes
from tunesmith.cli.main import run
from tunesmith.core import registry
from tunesmith.core.errors import DataError, UsageError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "cat.md").write_text("# Cats\nthe cat sat on the mat\n")
    (folder / "dog.md").write_text("# Dogs\nthe dog ran\n\n" + "a very good dog was on the mat. " * 8)
    return folder


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that were read by the model."""
    found, vectors = list[str](), Embedder.vectors

    def listening(self: Embedder, texts: Sequence[str], *given: Any) -> Any:
        found.extend(texts)
        return vectors(self, texts, *given)

    monkeypatch.setattr(Embedder, "vectors", listening)
    return found


def built(model: Path, source: str = "library", **changes: Any) -> dict[str, Any]:
    return build_index(source, model=str(model), **{"passage_tokens": 20, "overlap_tokens": 8, **changes})


def counts(made: dict[str, Any]) -> tuple[int, ...]:
    return tuple(made[name] for name in ("added", "changed", "removed", "unchanged"))


def test_passages_stand_under_their_headings_and_overlap(library: Path, encoder_folder: Path, embedded: list[str]) -> None:
    made = built(encoder_folder)
    assert (made["index"], made["documents"], counts(made)) == ("library.index", 2, (2, 0, 0, 0))
    assert made["passages"] == len(embedded) > 3
    assert embedded[0] == "Cats\n# Cats\nthe cat sat on the mat"
    later = [text for text in embedded if text.startswith("Dogs\na very")]
    assert len(later) == made["passages"] - 2
    found = open_index(Path("library.index")).search("cat", 2)
    assert found[0].passage.document == "cat.md"
    assert found[0].by_words == 1
    text = (library / "cat.md").read_text()
    assert text[found[0].passage.start : found[0].passage.end] == found[0].passage.text


def test_only_what_changed_is_read_again(library: Path, encoder_folder: Path, embedded: list[str]) -> None:
    built(encoder_folder)
    embedded.clear()
    assert counts(built(encoder_folder)) == (0, 0, 0, 2)
    (library / "cat.md").write_text("the cat ran")
    (library / "film.md").write_text("a very bad film")
    (library / "dog.md").unlink()
    made = built(encoder_folder)
    assert counts(made) == (1, 1, 1, 0)
    assert sorted(embedded) == ["a very bad film", "the cat ran"]
    index = open_index(Path("library.index"))
    assert {one.passage.document for one in index.search("dog cat film", 9)} == {"cat.md", "film.md"}


def test_a_file_that_cannot_be_read_for_once_keeps_its_passages(library: Path, encoder_folder: Path) -> None:
    built(encoder_folder)
    (library / "cat.md").write_bytes(b"caf\xe9")
    made = built(encoder_folder)
    assert counts(made) == (0, 0, 0, 1)
    assert made["documents"] == 2
    assert "not UTF-8" in made["left_out"]["cat.md"]


def test_an_interrupted_index_goes_on(library: Path, encoder_folder: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_BATCH_PASSAGES", 1)
    put, store = type(open_store(library)).put, type(open_store(library))

    def failing(self: Any, *given: Any) -> None:
        if len(self):
            raise KeyboardInterrupt
        put(self, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store, "put", failing)
        built(encoder_folder)
    embedded.clear()
    assert counts(built(encoder_folder)) == (1, 0, 0, 1)
    assert not any("cat" in text for text in embedded)


def open_store(folder: Path) -> Any:
    return registry.create("store", "lancedb", folder=str(folder / "none"))


def test_other_settings_or_another_model_take_a_new_index(library: Path, encoder_folder: Path, tmp_path: Path) -> None:
    built(encoder_folder)
    with pytest.raises(
        UsageError,
        match=r"library.index: was made with passage_tokens 20, not 30. Ask for the same, name another folder with --to, or make it anew: --rebuild",
    ):
        built(encoder_folder, passage_tokens=30)
    assert built(encoder_folder, passage_tokens=30, rebuild=True)["passage_tokens"] == 30
    again = build_index("library")  # what is not asked for is as before
    assert (again["model"]["name"], again["passage_tokens"], again["overlap_tokens"]) == (str(encoder_folder), 30, 8)
    assert counts(again) == (0, 0, 0, 2)
    assert build_index("library", overlap_tokens=4, rebuild=True)["passage_tokens"] == 30
    built(encoder_folder, passage_tokens=30, rebuild=True)
    other = tmp_path / "narrow"
    config = transformers.BertConfig.from_pretrained(encoder_folder, hidden_size=16)
    transformers.BertModel(config).save_pretrained(other)
    transformers.AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(other)
    assert counts(built(other, rebuild=True)) == (2, 0, 0, 0)  # vectors of another length
    assert {path.name for path in Path("library.index").iterdir()} == {"index.json", "passages"}
    copy = tmp_path / "model"
    model = transformers.AutoModel.from_pretrained(encoder_folder)
    model.save_pretrained(copy)
    transformers.AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(copy)
    built(copy, folder=Path("other.index"))
    model.embeddings.word_embeddings.weight.data += 1
    model.save_pretrained(copy)
    with pytest.raises(
        UsageError,
        match=r"is another model than its vectors were made with. Make it anew: tunesmith index \S+library --to other.index --rebuild",
    ):
        open_index(Path("other.index")).search("cat", 1)
    (library / "cat.md").write_text("a new text")
    with pytest.raises(UsageError, match="is another model"):
        built(copy, folder=Path("other.index"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passage_tokens": 49}, "--passage-tokens 49: .* reads 48 at most, beside a passage's titles"),
        ({"overlap_tokens": 10}, "--overlap-tokens 10: expected fewer than half of a passage's 20"),
        ({"folder": Path("library")}, "library: holds something else. Name another folder with --to"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    changes: dict[str, Any], said: str, library: Path, encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        built(encoder_folder, **changes)
    assert not (tmp_path / "library.index").exists()
    assert {path.name for path in library.iterdir()} == {"cat.md", "dog.md"}


def test_no_text_no_index(tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"library: holds no text to index. a.png: no document"):
        built(encoder_folder)
    with pytest.raises(UsageError, match="nowhere: no index there. Make one: tunesmith index FOLDER --to nowhere"):
        open_index(Path("nowhere"))
    (tmp_path / "index.json").write_text('{"schema": "tunesmith/index/9"}')
    with pytest.raises(UsageError, match="its form is tunesmith/index/9, expected tunesmith/index/1"):
        open_index(tmp_path)


def test_the_command_tells_what_it_did_and_what_it_left_out(
    library: Path, encoder_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(7):
        (library / f"{number}.png").write_bytes(b"x")
    arguments = ["index", "library", "--model", str(encoder_folder), "--passage-tokens", "20", "--overlap-tokens", "8"]
    assert run(arguments) == 0
    said = capsys.readouterr().out
    assert "library.index: 2 documents" in said
    assert "(2 added)" in said
    assert "left out: 0.png: no document" in said
    assert "left out: 2 more" in said
    assert run([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["unchanged"], len(document["left_out"])) == ("tunesmith/index/1", 2, 7)


def test_an_index_inside_of_its_documents_is_none_of_them(library: Path, encoder_folder: Path) -> None:
    inside = library / "deep" / "kept.index"
    made = built(encoder_folder, folder=inside)
    assert counts(made) == (2, 0, 0, 0)
    watching = changes(str(library), seconds=0.01)
    next(watching)
    again = built(encoder_folder, folder=inside)
    assert (counts(again), again["left_out"]) == ((0, 0, 0, 2), {})
    (library / "cat.md").write_text("the cat ran")
    next(watching)
    assert counts(built(encoder_folder, folder=inside)) == (0, 1, 0, 1)


def test_what_an_index_is_of_is_not_replaced_by_something_else(library: Path, encoder_folder: Path, tmp_path: Path) -> None:
    built(encoder_folder)
    other = tmp_path / "deep" / "library"
    other.mkdir(parents=True)
    (other / "film.md").write_text("the film was bad")
    with pytest.raises(UsageError, match=r"library.index: was made of \S+library. Ask for the same, name another folder with --to"):
        built(encoder_folder, source="deep/library")
    made = built(encoder_folder, source="deep/library", rebuild=True)
    assert (made["documents"], open_index(Path("library.index")).source) == (1, str(other))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file: holds something else"):
        built(encoder_folder, folder=Path("file"))
    (Path("library.index") / "index.json").write_text("{")
    with pytest.raises(UsageError, match="is not what an index holds"):
        built(encoder_folder)
    assert built(encoder_folder, rebuild=True)["documents"] == 2


def test_a_text_that_was_taken_out_is_gone(library: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (library / "rows.csv").write_text("text\nzulu one\nzulu two\n")
    (library / "C#1.md").write_text("a sharp note")
    built(encoder_folder)
    (library / "rows.csv").write_text("text\n")
    (library / "C#1.md").write_bytes(b"caf\xe9")

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry.load("store", "lancedb"), "tidy", interrupted)
        built(encoder_folder)
    assert counts(built(encoder_folder)) == (0, 0, 0, 2)
    assert open_index(Path("library.index")).store.documents().keys() == {"cat.md", "dog.md", "C#1.md"}
    held = [path for path in Path("library.index").rglob("*") if path.is_file() and b"zulu one" in path.read_bytes()]
    assert not held


def test_titles_leave_room_for_the_text(library: Path, encoder_folder: Path, embedded: list[str]) -> None:
    (library / "cat.md").write_text(f"# {'very ' * 60}\nthe cat sat on the mat\n\n" + "a good dog ran. " * 8)
    (library / "dog.md").write_bytes(b"# Guide\r\n\r\na dog ran\r\n\r\nTop\r\n===\r\nthe film")
    built(encoder_folder, passage_tokens=40)
    assert max(map(len, embedded)) < 120 + 40 * 8
    assert any(text.startswith("very very") and "a good dog ran." in text for text in embedded)
    assert {one.headings for one in open_index(Path("library.index")).store.passages("dog.md")} == {("Guide",)}
    made = build_index("library", Path("short.index"), model=str(encoder_folder), passage_tokens=16)
    assert made["overlap_tokens"] == 3


def test_a_change_is_told_once_it_has_stood_still(library: Path) -> None:
    watching = changes(str(library), seconds=0.01)
    next(watching)
    (library / "cat.md").write_text("longer than it was before, by far")
    next(watching)
    (library / "new.md").write_text("new")
    (library / "dog.md").unlink()
    next(watching)
    with pytest.raises(UsageError, match="python-reference: no folder or file to watch"):
        next(changes("python-reference"))


def test_passages_are_as_long_as_the_encoder_reads_where_nobody_asked_for_a_length(library: Path, encoder_folder: Path) -> None:
    made = build_index("library", model=str(encoder_folder))
    assert (made["passage_tokens"], made["overlap_tokens"]) == (48, 9)
