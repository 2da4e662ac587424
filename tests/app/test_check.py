"""A source or a recipe's data, checked as tuning would read it."""

from pathlib import Path

import pytest

from tests.tiny_recipes import classifier
from tunesmith.app.check import check_data
from tunesmith.app.dataset import prepare_data
from tunesmith.core.errors import DataError, ModelError
from tunesmith.recipe import dump, load

NOUNS = "cat dog mat film".split()


def written(path: Path, rows: list[tuple[str, str]], header: str = "text,label") -> str:
    path.write_text(f"{header}\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return str(path)


def reviews(count: int, topic: str = "film") -> list[tuple[str, str]]:
    return [(f"the {topic} was {'good' if n % 2 else 'bad'} {number_word(n)}", "pos" if n % 2 else "neg") for n in range(count)]


def number_word(number: int) -> str:
    """A word of its own for each number, unlike those of its neighbours."""
    return "".join("abcdefghij"[(number * 7919 // 10**place) % 10] * 3 for place in range(5))


def test_a_source_alone_is_one_split_without_tokens(tmp_path: Path) -> None:
    checked = check_data(written(tmp_path / "rows.csv", reviews(40)))
    assert list(checked.report.splits) == ["data"]
    assert checked.report.splits["data"].rows == 40
    assert checked.report.splits["data"].lengths is None
    assert checked.report.count("error") == 0


def test_a_source_with_a_test_of_its_own_is_checked_across(tmp_path: Path) -> None:
    train, test = written(tmp_path / "train.csv", reviews(40)), written(tmp_path / "test.csv", reviews(3))
    report = check_data(train, [f"data.test={test}"]).report
    assert list(report.splits) == ["train", "test"]
    (overlap,) = [one for one in report.findings if one.severity == "error"]
    assert (overlap.check, overlap.count) == ("overlap", 3)
    assert report.splits["test"].source == test


def test_columns_that_nothing_reads_are_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "text,label,author\n" + "".join(f"{text},{label},Ann\n" for text, label in reviews(20)), encoding="utf-8"
    )
    assert check_data(str(tmp_path / "a.csv")).report.notes == (f"{tmp_path / 'a.csv'}: columns that are not read: author",)


def test_columns_are_given_as_in_a_recipe(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(30), header="review,mood")
    with pytest.raises(DataError, match="cannot tell what the columns"):
        check_data(file)
    assert check_data(file, ["data.columns={text: review, label: mood}"]).report.splits["data"].labels == {"neg": 15, "pos": 15}


def test_a_recipes_splits_are_those_of_tuning_with_lengths_of_its_model(encoder_folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(60), header="review,sentiment")
    recipe = classifier(encoder_folder, Path(file), tmp_path / "out")
    (tmp_path / "own.yaml").write_text(dump(recipe), encoding="utf-8")
    report = check_data(str(tmp_path / "own.yaml"), ["model.max_length=5"]).report
    prepared = prepare_data(load(tmp_path / "own.yaml"))
    assert {name: facts.rows for name, facts in report.splits.items()} == {
        "train": len(prepared.train),
        "validation": len(prepared.validation),
        "test": len(prepared.test),
    }
    lengths = report.splits["train"].lengths
    assert lengths is not None
    assert (lengths.context, lengths.max, lengths.num_over) == (5, 5, 0)
    assert report.model == str(encoder_folder)
    assert not (tmp_path / "out").exists()


def test_a_model_counts_the_tokens_of_a_source(encoder_folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(30))
    lengths = check_data(file, model=str(encoder_folder)).report.splits["data"].lengths
    assert lengths is not None
    assert lengths.median == 5
    with pytest.raises(ModelError):
        check_data(file, model="no-such-model-anywhere!")


def test_a_recipes_model_that_cannot_be_had_is_a_note(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(60))
    (tmp_path / "own.yaml").write_text(f"model: {tmp_path / 'nowhere'}\ndata: {file}\n", encoding="utf-8")
    report = check_data(str(tmp_path / "own.yaml")).report
    assert report.splits["train"].lengths is None
    assert any(note.startswith("tokens were not counted: ") for note in report.notes)


def test_a_network_that_is_made_anew_counts_by_the_words_of_its_training_rows(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(60))
    vocabulary = "{size: 300, of: words}"
    (tmp_path / "new.yaml").write_text(
        f"model: {{architecture: lstm, vocabulary: {vocabulary}}}\ndata: {file}\nmethod: full\n", encoding="utf-8"
    )
    report = check_data(str(tmp_path / "new.yaml")).report
    lengths = report.splits["train"].lengths
    assert lengths is not None
    assert lengths.median == 7  # five words, and what begins and ends a row
    assert not any(note.startswith("tokens were not counted") for note in report.notes)


def test_a_network_of_numbers_has_no_tokens_to_count(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,label\n" + "".join(f"{n}.5,{n % 7},{'xy'[n % 2]}\n" for n in range(30)), encoding="utf-8")
    data = f"{{train: {tmp_path / 'rows.csv'}, format: columns}}"
    (tmp_path / "new.yaml").write_text(f"model: {{architecture: dense}}\ndata: {data}\nmethod: full\n", encoding="utf-8")
    report = check_data(str(tmp_path / "new.yaml")).report
    assert report.splits["train"].lengths is None
    assert "tokens were not counted: new:dense reads rows of 2 numbers." in report.notes


def test_another_models_tokens_are_counted_of_a_recipe_with_a_network_of_its_own(encoder_folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(30))
    (tmp_path / "new.yaml").write_text(
        f"model: {{architecture: lstm, vocabulary: {{size: 300}}}}\ndata: {file}\nmethod: full\n", encoding="utf-8"
    )
    lengths = check_data(str(tmp_path / "new.yaml"), model=str(encoder_folder)).report.splits["train"].lengths
    assert lengths is not None
    assert lengths.median == 5


def test_domains_are_compared_and_looked_for_in_training(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(80))
    domain = written(tmp_path / "dogs.csv", [*reviews(60, "dog"), (" ".join(f"word{n}" for n in range(20)), "pos")])
    leaked = written(tmp_path / "leaked.csv", [*reviews(80), ("so: " + " ".join(f"word{n}" for n in range(20)), "pos")])
    (tmp_path / "own.yaml").write_text(
        f"model: {tmp_path / 'nowhere'}\ndata: {{train: {leaked}, split: {{test: 2, validation: 2}}}}\nevaluate: {{domains: {{dogs: {domain}}}}}\n",
        encoding="utf-8",
    )
    report = check_data(str(tmp_path / "own.yaml")).report
    assert [(shift.first, shift.other) for shift in report.shifts] == [("train", "dogs")]
    assert report.shifts[0].auc.value > 0.9
    assert [(one.check, one.count) for one in report.findings if one.check == "leakage"] == [("leakage", 1)]
    source = check_data(file, against=[domain], shifts=[domain]).report
    assert [one.check for one in source.findings if one.check == "leakage"] == []
    assert len(source.shifts) == 1


def test_vectors_of_a_model_are_looked_at_where_that_is_asked_for(encoder_folder: Path, tmp_path: Path) -> None:
    one, other = written(tmp_path / "a.csv", reviews(40)), written(tmp_path / "b.csv", reviews(40, "dog"))
    (shift,) = check_data(one, shifts=[other], embed=str(encoder_folder)).report.shifts
    assert shift.embedded is not None
    assert shift.embedded.auc.value > 0.9
    (shift,) = check_data(one, shifts=[other]).report.shifts
    assert shift.embedded is None
    with pytest.raises(ModelError):
        check_data(one, shifts=[other], embed=str(tmp_path / "none"))


def test_other_sets_are_read_as_the_training_data_is_where_that_fits(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.csv", reviews(40), header="review,mood")
    other = written(tmp_path / "other.csv", reviews(30, "dog"), header="review,mood")
    plain = written(tmp_path / "plain.csv", reviews(30, "mat"))
    report = check_data(file, ["data.columns={text: review, label: mood}"], shifts=[other, plain]).report
    assert [shift.at_risk is not None for shift in report.shifts] == [True, True]


def test_bad_rows_of_every_source_are_found_under_their_split(tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", [*reviews(40), ("", "pos")])
    test = written(tmp_path / "test.csv", [*reviews(20, "dog"), ("the mat", "strange")])
    found = [one for one in check_data(train, [f"data.test={test}"]).report.findings if one.check == "unreadable"]
    assert [(one.split, one.count, one.examples[0].row) for one in found] == [("train", 1, 42), ("test", 1, 22)]
    assert 'unknown label "strange"' in found[1].examples[0].text
