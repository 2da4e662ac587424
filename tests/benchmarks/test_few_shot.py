"""Few examples a class: what is drawn, what chooses the way, and the means, worked by hand."""

from collections import Counter

import pytest

from benchmarks.__main__ import main
from benchmarks.methods.few_shot import LABELS, WAYS, draw, draw_to_choose, few_shot_lines, legs_of, read_rows, summary, way_of
from benchmarks.workload import BenchmarkError
from tunesmith.recipe import load


@pytest.fixture
def folder(tmp_path):
    """Twelve texts of each label in training and validation, one of which stands in the test rows too, and two test rows."""
    for name, shared in (("train", "a test text"), ("dev", "a test text"), ("test", "another")):
        texts = [(label, f"{name} caf\xe9 {label} {n}") for label in range(5) for n in range(12 if name != "test" else 0)]
        lines = [f"{label} {text}" for label, text in [*texts, (3, shared), *([(3, "a test text")] if name == "test" else [])]]
        (tmp_path / f"stsa.fine.{name}").write_text("\n".join(lines), encoding="latin-1")
    return tmp_path


def test_each_split_has_so_many_rows_of_each_class_and_none_of_the_test(folder):
    rows = read_rows(folder)
    splits = [draw(rows, number, 8) for number in (0, 1)]
    for drawn in splits:
        assert set(Counter(label for label, _ in drawn.train).values()) == {8}
        assert set(Counter(label for label, _ in drawn.validation).values()) == {8}
        texts = [{text for _, text in part} for part in (drawn.train, drawn.validation, drawn.test)]
        assert not texts[0] & texts[1]
        assert not (texts[0] | texts[1]) & texts[2]
        assert drawn.test == (("positive", "another"), ("positive", "a test text"))
    assert splits[0].train != splits[1].train
    assert draw(rows, 0, 8) == splits[0]
    choosing = draw_to_choose(rows, 0, 8)
    assert (choosing.train, choosing.validation) == (splits[0].train, splits[0].validation)
    assert len(choosing.test) == 60 - 40
    assert not {text for _, text in choosing.test} & {
        text for part in (choosing.train, choosing.validation, splits[0].test) for _, text in part
    }
    assert "café" in splits[0].train[0][1]


def test_every_way_is_a_recipe_at_its_methods_own_rate(folder, tmp_path):
    drawn = draw(read_rows(folder), 0, 8)
    drawn.write(tmp_path)
    for leg in legs_of(drawn, list(WAYS)).values():
        recipe = load(tmp_path / "recipe.yaml", leg.asked(())["overrides"])
        assert recipe.train.learning_rate == "auto"
        assert (tmp_path / "train.jsonl").samefile(str(recipe.data.train))


def test_what_is_wrong_with_the_data_is_a_line(folder, tmp_path, capsys):
    with pytest.raises(BenchmarkError, match="stsa.fine.train has 12 rows of the class very negative"):
        draw(read_rows(folder), 0, 13)
    assert main(["few-shot", "--data", str(tmp_path / "nowhere")]) == 1
    assert "no such file. Expected a folder with stsa.fine.train" in capsys.readouterr().err
    assert main(["few-shot", "--data", str(folder), "--ways", "heads"]) == 1
    assert "--ways: heads: not known. Known: head, lora" in capsys.readouterr().err
    (folder / "stsa.fine.dev").write_text("5 six classes\n", encoding="latin-1")
    with pytest.raises(BenchmarkError, match="stsa.fine.dev:1: expected a label from 0 to 4"):
        read_rows(folder)


def _measured(right, validation, loss):
    rows = {"row": ["t:1", "t:2"], "tuned": [[x] for x in right]}
    losses = {"kept_by": {"accuracy": validation}, "kept_validation": loss}
    return {"rows": {"accuracy": rows}, "losses": losses, "model": {"name": "minilm-l6"}}


def test_validation_chooses_and_the_mean_is_of_what_it_chose():
    splits = {
        0: {"head": _measured([1, 0], 0.5, 1.0), "full": _measured([1, 1], 0.4, 0.5)},  # the better one on the test rows is not seen
        1: {"head": _measured([0, 0], 0.3, 1.0), "full": _measured([1, 1], 0.3, 0.9)},  # equal: the less loss
    }
    assert [way_of(found) for found in splits.values()] == ["head", "full"]
    choosing = {100: {"head": _measured([1, 0], 0.1, 1.0), "full": _measured([0, 0], 0.9, 1.0)}}  # by what it is judged on
    found = summary(splits, choosing, 8)
    assert found["chosen"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert {way: one["value"] for way, one in found["ways"].items()} == {"head": 0.25, "full": 1.0}
    text = "\n".join(few_shot_lines(found))
    assert "**Accuracy of the chosen way, head: 0.2500" in text
    assert "Accuracy where each split chooses by its own few rows: 0.7500" in text
    assert "Chosen: head 1 times, full 1 times." in text
    assert {way: one["value"] for way, one in found["on_validation"].items()} == {"head": 0.5, "full": 0.0}
    assert "| head | `method.name=head` | 0.5000 (0.0000 to 1.0000) | 0.2500" in text
    assert "8 examples a class, 2 splits, 2 test rows" in text


def test_a_way_that_diverged_is_not_chosen():
    assert way_of({"full": {"diverged": "the loss is nan"}, "head": _measured([0, 0], 0.1, 2.0)}) == "head"
    assert len(LABELS) == 5
