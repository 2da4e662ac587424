"""What a recipe says of rendering holds from training to the tuned model's use."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.preview import preview
from tunesmith.app.run import Run
from tunesmith.app.tune import tune
from tunesmith.app.tuned import load_tuned
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.core.types import Message, Origin, Prompt
from tunesmith.recipe import Recipe, from_mapping

LORA = {"method": {"name": "lora", "r": 4}, "train": {"max_steps": 2}}


def writer(model: Path, data: dict[str, Any], out: Path, **changes: Any) -> Recipe:
    recipe = {"model": str(model), "data": data, "method": "full", "evaluate": {"max_new_tokens": 4}, "output_dir": str(out), **changes}
    return from_mapping(recipe, name="tiny")


def _data(file: Path, **options: Any) -> dict[str, Any]:
    return {"train": str(file), **options}


def test_after_fifty_steps_on_ten_rows_a_model_stops_by_itself(decoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "ten.jsonl"
    pairs = [
        (f"the {noun} is {word}", "yes " * (index + 1))
        for index, noun in enumerate(["cat", "dog"])
        for word in "good bad very on was no".split()
    ]
    file.write_text("".join(json.dumps({"source": asked, "target": said.strip()}) + "\n" for asked, said in pairs))
    data = _data(file, split={"validation": 1, "test": 1})
    run = tune(writer(decoder_folder, data, tmp_path / "out", train={"max_steps": 50, "learning_rate": 1e-2, "examples_per_step": 10}))
    assert run.report["data"]["splits"]["train"]["rows"] == 10
    tuned = load_tuned(run.directory)
    said = tuned.ask([Prompt((Message("user", asked),), Origin("a", 1)) for asked, _ in pairs], max_new_tokens=32)
    assert said.num_cut == 0
    right = [output.text == expected.strip() for output, (_, expected) in zip(said.outputs, pairs, strict=True)]
    assert sum(right) >= 10


def test_a_chat_template_goes_with_the_adapter_and_is_used_though_its_file_is_gone(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text(
        "{% for m in messages %}no {{ m.role }} {{ m.content }}</s> {% endfor %}{% if add_generation_prompt %}no assistant{% endif %}"
    )
    run = tune(writer(decoder_folder, _data(pairs_csv, chat_template=str(file)), tmp_path / "out", **LORA))
    template = file.read_text()
    assert (run.directory.adapter / "chat_template.jinja").read_text() == template
    file.unlink()
    tuned = load_tuned(run.directory)
    asked = Prompt((Message("user", "the cat"),), Origin("a", 1))
    assert tuned.encoder.spell(tuned.encoder.prompt(asked)).startswith("no")
    assert Run(run.directory.path).generate(["the cat"])
    again = writer(run.directory.path, _data(pairs_csv), tmp_path / "again", **LORA)
    (shown,) = preview(again, rows=1)
    assert shown["pieces"][0][0].startswith("no")


def test_a_named_layout_goes_with_a_whole_model(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    data = _data(pairs_csv, chat_template="zephyr")
    run = tune(writer(decoder_folder, data, tmp_path / "out", train={"max_steps": 1}))
    assert "eos_token" in (run.directory.model / "chat_template.jinja").read_text()
    with pytest.raises(RecipeError, match="chatml needs the token"):
        preview(writer(decoder_folder, _data(pairs_csv, chat_template="chatml"), tmp_path / "b"))


def test_what_is_learned_and_asked_is_the_recipes(decoder_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "talks.jsonl"
    turns = [("user", "the cat"), ("assistant", "yes"), ("user", "the dog"), ("assistant", "no")]
    talks = [{"messages": [{"role": role, "content": f"{text} {index}"} for role, text in turns]} for index in range(20)]
    file.write_text("".join(json.dumps(talk) + "\n" for talk in talks))

    def learned(**options: Any) -> list[str]:
        (shown,) = preview(writer(decoder_folder, _data(file, **options), tmp_path / "out"), rows=1)
        return [text.split()[0] for text, is_learned in shown["pieces"] if is_learned]

    assert learned() == ["yes", "no"]
    assert learned(loss_on="last") == learned(loss_on="completion") == ["no"]
    assert len(learned(loss_on="all")) == 1


def test_of_several_templates_rows_get_one_each(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    recipe = writer(decoder_folder, _data(pairs_csv, template=["cat {text}", "dog {text}"]), tmp_path / "out")
    first, again = ([shown["pieces"][0][0] for shown in preview(recipe, rows=20)] for _ in range(2))
    assert first == again
    assert {text.split()[1] for text in first} == {"cat", "dog"}


def test_a_hostile_template_of_a_model_stops_before_training(decoder_folder: Path, pairs_csv: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.jinja"
    file.write_text("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    with pytest.raises(ModelError, match=r"its chat template was not done in time \(2 s\)"):
        tune(from_mapping({"model": str(decoder_folder), "data": _data(pairs_csv, chat_template=str(file))}, name="x"))
