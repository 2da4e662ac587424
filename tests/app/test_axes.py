"""The axes of a run, on tiny models."""

import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_recipes import classifier, writer

from tunesmith.app.axes import AS_IT_IS, _Question, measure_axes
from tunesmith.app.machine import reset_peak_memory
from tunesmith.app.task import prepare
from tunesmith.app.tune import tune
from tunesmith.app.tuned import Said, Tuned, load_tuned, load_untuned
from tunesmith.cli.main import run
from tunesmith.core import registry
from tunesmith.core.errors import UsageError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, Labelled, Origin
from tunesmith.recipe import from_mapping


def test_a_classifiers_score_falls_to_its_worst_way(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    done = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out"))
    found = measure_axes(done.directory, limit=20)
    tuned = found["tuned"]
    assert (found["metric"], found["rows"]) == ("accuracy", 20)
    assert tuned["score"]["value"] > 0.9
    # the tokenizer knows words in small letters alone, apart from each other
    assert tuned["robustness"]["each"]["capital_letters"]["value"] < tuned["score"]["value"]
    assert tuned["robustness"]["each"]["spacing"]["value"] == tuned["score"]["value"]
    assert tuned["robustness"]["worst"]["value"] <= min(one["value"] for one in tuned["robustness"]["each"].values())
    assert tuned["fairness"]["worst"]["value"] == tuned["score"]["value"]
    assert found["changed"]["capital_letters"] == 20
    assert found["changed"]["names"] == found["changed"]["small_letters"] == 0
    assert "paraphrase" not in found["changed"]
    assert found["base_asked"] == "zero_shot"
    assert found["base"]["score"]["value"] < tuned["score"]["value"]
    assert tuned["toxic_share"] is None
    assert tuned["efficiency"]["seconds_per_row"] > 0
    assert tuned["efficiency"]["prompt_tokens_per_row"] == 7  # words
    assert tuned["efficiency"]["peak_memory_bytes"] is None  # a CPU's is the whole process's
    assert found["peak_memory_bytes"] > 0
    assert run(["axes", str(done.path), "--limit", "20"]) == 0
    assert "robustness: the worst of these" in capsys.readouterr().out
    assert 0 <= tuned["calibration"]["low"] <= tuned["calibration"]["value"] <= 1
    assert done.directory.read_json(done.directory.axes)["tuned"]["score"] == tuned["score"]
    assert '<section id="axes">' in done.directory.report_html.read_text(encoding="utf-8")


def test_a_writers_answers_are_held_against_the_lists(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tune(writer(decoder_folder, pairs_csv, tmp_path / "out", evaluate={"max_new_tokens": 2}))
    assert run(["axes", str(done.path), "--limit", "8", "--toxicity-classifier", "none", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["schema"] == "tunesmith/axes/1"
    assert found["metric"] == "chrf"
    assert found["tuned"]["score"]["value"] > found["base"]["score"]["value"]
    assert found["changed"]["paraphrase"] == 8
    assert found["tuned"]["toxic_share"]["value"] == 0
    assert found["toxicity_classifier"] is found["tuned"]["classified_toxic_share"] is None
    assert found["tuned"]["share_of_women"]["value"] is None  # no word for women or men
    efficiency = found["base"]["efficiency"]
    assert (efficiency["prompt_tokens_per_row"], efficiency["answer_tokens_per_row"]) == (10, 2)
    answers = 8 + sum(found["changed"].values())
    assert found["base"]["cut"] == {"answers": answers, "num_cut": answers}
    assert 8 <= found["tuned"]["cut"]["num_cut"] <= answers  # "yes yes" is as long, without its end


def test_the_base_that_is_a_run_for_the_same_labels_answers_with_its_head(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    first = tune(classifier(encoder_folder, reviews_csv, tmp_path / "first"))
    again = classifier(Path(f"run:{first.path}"), reviews_csv, tmp_path / "again", train={"max_steps": 1, "learning_rate": 1e-9})
    found = measure_axes(tune(again).directory, limit=20)
    assert found["base_asked"] == "as_it_is"
    assert found["base"]["score"] == found["tuned"]["score"]
    assert found["base"]["score"]["value"] > 0.9


def test_the_tuned_model_is_gone_before_the_base_is_loaded(
    encoder_folder: Path, reviews_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, tuned = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 1})), list[weakref.ref[Any]]()

    def loaded(directory: RunDirectory) -> Tuned:
        found = load_tuned(directory)
        tuned.append(weakref.ref(found.forward))
        return found

    def untuned(*given: Any) -> Tuned:
        assert [reference() for reference in tuned] == [None]
        return load_untuned(*given)

    monkeypatch.setattr("tunesmith.app.axes.load_tuned", loaded)
    monkeypatch.setattr("tunesmith.app.axes.load_untuned", untuned)
    assert measure_axes(done.directory, limit=4)["base"]


def test_a_base_that_could_only_answer_with_a_head_is_loaded_where_a_run_has_one(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"the {word} is {number}", "label": number * 1.5} for number in range(40) for word in ("cat", "film")]
    (tmp_path / "rated.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe = {"data": str(tmp_path / "rated.jsonl"), "objective": "regress", "evaluate": {"retention": "none"}, "train": {"max_steps": 1}}

    def tuned(model: str, name: str) -> RunDirectory:
        return tune(from_mapping({**recipe, "model": model, "output_dir": str(tmp_path / name)}, name="test")).directory

    first = tuned(str(encoder_folder), "first")
    second = tuned(str(first.path), "second")
    loaded = list[str]()
    monkeypatch.setattr("tunesmith.app.axes.load_untuned", lambda *given: loaded.append(given[0].model.source) or load_untuned(*given))
    found = measure_axes(first, limit=4)
    assert (loaded, found["base_asked"], found["base"]) == ([], None, None)
    assert found["peak_memory_bytes"] > 0
    assert measure_axes(second, limit=4)["base_asked"] == "as_it_is"
    assert loaded == [str(first.path)]


def test_a_gpus_peak_begins_anew_for_each_side_and_a_process_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reset = list[torch.device]()
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    assert reset_peak_memory(torch.device("cuda:0"))
    assert not reset_peak_memory(torch.device("cpu"))
    assert reset == [torch.device("cuda:0")]


def test_the_same_seed_measures_the_same(encoder_folder: Path, reviews_csv: Path, tmp_path: Path) -> None:
    done = tune(classifier(encoder_folder, reviews_csv, tmp_path / "out", train={"max_steps": 4, "learning_rate": 1e-2}))
    first, second = (measure_axes(done.directory, limit=10, seed=3)["tuned"] for _ in range(2))
    assert [first[axis] for axis in ("score", "robustness", "fairness")] == [second[axis] for axis in ("score", "robustness", "fairness")]


def test_what_cannot_be_asked_another_way_is_refused(decoder_folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jsonl"
    text.write_text("".join(json.dumps({"text": f"the cat sat on the mat {number} very good"}) + "\n" for number in range(30)))
    done = tune(writer(decoder_folder, text, tmp_path / "out", train={"max_steps": 1}))
    with pytest.raises(UsageError, match="a run of language modelling cannot be asked another way"):
        measure_axes(done.directory)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tuned, Sequence[Example], Said]]:
    """What is asked of whom, and the answers."""
    found, ask = list[tuple[Tuned, Sequence[Example], Said]](), Tuned.ask

    def listening(self: Tuned, examples: Sequence[Example], *given: Any, **named: Any) -> Said:
        said = ask(self, examples, *given, **named)
        found.append((self, examples, said))
        return said

    monkeypatch.setattr(Tuned, "ask", listening)
    return found


def test_the_rows_of_a_mixture_are_asked_as_in_training(
    decoder_folder: Path, reviews_csv: Path, pairs_csv: Path, tmp_path: Path, asked: list[tuple[Tuned, Sequence[Example], Said]]
) -> None:
    mood = {"source": str(reviews_csv), "columns": {"text": "review", "label": "sentiment"}, "template": "the film is very {text}"}
    mix = {"mood": mood, "talk": {"source": str(pairs_csv), "template": "a dog says {source}"}}
    recipe = from_mapping(
        {
            "model": str(decoder_folder),
            "data": {"mix": mix, "allow_overlap": True},
            "train": {"max_steps": 1},
            "evaluate": {"max_new_tokens": 2, "retention": "none"},
            "output_dir": str(tmp_path / "out"),
        },
        name="mixed",
    )
    found = measure_axes(tune(recipe).directory, limit=12, toxicity_classifier="none")
    task = prepare(recipe, lambda event: None)
    whole = {id(call[0]): call for call in reversed(asked) if len(call[1]) == 12}  # of each side the first: the rows as they are
    assert len(whole) == 2
    for speaker, examples, said in whole.values():
        assert speaker.encoder.prompts(examples) == task.encoder.prompts(examples)
        chosen = [output.text for example, output in zip(examples, said.outputs, strict=True) if isinstance(example, Labelled)]
        assert chosen
        assert set(chosen) <= {"positive", "negative"}
        assert 12 - len(chosen) < found["tuned"]["cut"]["answers"] < 12 + sum(found["changed"].values())  # those that are written


def test_rows_of_one_document_are_drawn_together_in_every_score() -> None:
    accuracy, values = registry.create("metric", "accuracy"), {AS_IT_IS: np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 20)}

    def width(group: str) -> float:
        rows = [Labelled("a cat", "yes", Origin("f", row, group=group and f"{group}{row // 20}")) for row in range(120)]
        found = _Question(rows, {}, ["yes"] * 120, accuracy, 0, None)._mean(values)
        return float(found["high"] - found["low"])

    assert width("document ") > 3 * width("")
