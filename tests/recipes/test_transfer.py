"""The recipes of transfer take two steps with networks of a few numbers: the chains ulmfit and summary-starts, and translation from two files."""

import json
from pathlib import Path

import pytest

from tunesmith.app.chain import tune_chain
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
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


def test_translate_takes_two_parallel_files_and_names_them_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["tune", "translate"]) == 3
    assert "source.txt: no such file" in capsys.readouterr().err
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
