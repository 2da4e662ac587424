"""The recipes of transfer take two steps with networks of a few numbers: the chains ulmfit and summary-starts, and translation from two files."""

import json
from pathlib import Path

import pytest

from tunesmith.app.chain import tune_chain
from tunesmith.app.dataset import prepare_data
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.data import content_key
from tunesmith.recipe import load, load_chain

TINY = ["embedding_size=8", "hidden_size=8"]


@pytest.mark.embedded
def test_the_three_stages_of_ulmfit_take_two_steps(tmp_path: Path) -> None:
    changes = [
        *(f"general.model.{size}" for size in TINY), "general.model.vocabulary=400", "train.max_steps=2",
        "data.limit={train: 64, validation: 8, test: 12}", f"output_dir={tmp_path / 'out'}",
    ]  # fmt: skip
    group = tune_chain(load_chain("ulmfit", changes))
    reports = {stage: found.read_json(found.report_json) for stage, found in group.directory.by_value.items()}
    assert list(reports) == ["general", "domain", "classifier"]
    assert reports["general"]["model"]["name"] == "new:awd_lstm"
    assert "accuracy" in reports["classifier"]["metrics"]


def test_each_arm_of_ulmfits_ablation_lacks_what_its_name_says_and_nothing_else() -> None:
    chain = load_chain("ulmfit-ablation")
    settings = {stage: chain.recipe(stage, {}).model_dump(mode="json") for stage in chain.stages}
    whole = settings["all"]

    def lacks(stage: str) -> dict[str, object]:
        own, method = settings[stage], settings[stage]["method"]
        found = {key: value for key, value in method.items() if value != whole["method"][key]}
        found |= {key: value for key, value in own["train"].items() if value != whole["train"][key]}
        if own["model"] != whole["model"]:
            found["source"] = own["model"]["source"]
        rest = own.keys() - {"method", "train", "model", "name", "description"}
        assert {key: own[key] for key in rest} == {key: whole[key] for key in rest}
        return found

    one_rate, at_once = {"layer_decay": 1.0}, {"unfreeze_every": 0.0}
    assert lacks("without-discriminative") == one_rate
    assert lacks("without-unfreezing") == at_once
    assert lacks("without-either") == one_rate | at_once
    assert lacks("without-slanted") == {"schedule": "linear"}
    assert lacks("without-domain") == {"source": "stage:general"}
    assert lacks("without-general") == {"source": "stage:domain-alone"}
    assert lacks("without-both") == {"source": "new:awd_lstm"} | one_rate | at_once  # nothing is there to be kept


@pytest.mark.embedded
def test_the_domain_stage_holds_out_the_very_texts_that_the_classifier_is_tested_on() -> None:
    chain = load_chain("ulmfit", ["domain.data.limit={}", "classifier.data.limit={}"])
    domain, classifier = (prepare_data(chain.recipe(stage, {})) for stage in ("domain", "classifier"))
    for ours, theirs in ((domain.train, classifier.train), (domain.validation, classifier.validation), (domain.test, classifier.test)):
        assert {content_key(example) for example in ours} == {content_key(example) for example in theirs}


def test_translate_takes_two_parallel_files_and_names_them_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["tune", "translate"]) == 3
    assert "source.txt and target.txt: no such files" in capsys.readouterr().err
    words = "ein hund läuft schnell".split(), "a dog runs fast".split()
    for file, own in zip(("a.de", "a.en"), words, strict=True):
        Path(file).write_text("".join(f"{' '.join(own)} {n}\n" for n in range(60)), encoding="utf-8")
    changes = [
        "data.train.source=a.de", "data.train.target=a.en", *(f"model.{size}" for size in TINY), "model.vocabulary=300", "train.max_steps=2",
        "evaluate.generate_limit=2", "evaluate.max_new_tokens=3", f"output_dir={tmp_path / 'out'}",
    ]  # fmt: skip
    assert {"bleu", "chrf", "perplexity"} <= set(tune(load("translate", changes)).report["metrics"])


@pytest.mark.embedded
def test_all_starts_of_summary_starts_are_judged_on_the_same_rows_and_one_keeps_the_translators_vocabulary(tmp_path: Path) -> None:
    words = "ein hund läuft schnell".split(), "a dog runs fast".split()
    for name, own in zip(("a.de", "a.en"), words, strict=True):
        (tmp_path / name).write_text("".join(f"{' '.join(own)} {n}\n" for n in range(60)), encoding="utf-8")
    changes = [
        f"translation.data.train.source={tmp_path / 'a.de'}", f"translation.data.train.target={tmp_path / 'a.en'}",
        *(f"{stage}.model.{size}" for stage in ("translation", "from-nothing") for size in (*TINY, "vocabulary=300")), "train.max_steps=2",
        "train.examples_per_step=1", "data.limit={train: 8, validation: 1, test: 2}", "evaluate.generate_limit=2", "evaluate.max_new_tokens=2", f"output_dir={tmp_path / 'out'}",
    ]  # fmt: skip
    runs = tune_chain(load_chain("summary-starts", changes)).directory.by_value
    reports = {stage: run.read_json(run.report_json) for stage, run in runs.items()}
    starts = [stage for stage in reports if stage != "translation"]
    assert starts == ["from-translation", "from-nothing", "from-language-model"]
    rows = [[json.loads(line)["row"] for line in runs[stage].predictions.read_text(encoding="utf-8").splitlines()] for stage in starts]
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) == 2
    assert {"rougeL", "bits_per_byte"} <= set.intersection(*(set(reports[stage]["metrics"]) for stage in starts))
    vocabulary = [(runs[stage].model / "tokenizer.json").read_bytes() for stage in ("translation", "from-translation", "from-nothing")]
    assert vocabulary[0] == vocabulary[1] != vocabulary[2]
