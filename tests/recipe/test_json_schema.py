"""The JSON Schema says what the models say."""

import json
from pathlib import Path

import pytest

from tunesmith import recipe
from tunesmith.core.registry import names
from tunesmith.recipe.json_schema import json_schema, main


def test_shipped_schema_is_in_step_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_schema_out_of_step_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stale = tmp_path / "schema.json"
    stale.write_text("{}", encoding="utf-8")
    monkeypatch.setattr("tunesmith.recipe.json_schema.SHIPPED", stale)
    assert main(["--check"]) == 1


def test_schema_covers_every_plug_in_and_its_options() -> None:
    schema = json_schema()
    assert schema["properties"]["method"]["anyOf"][0] == {"enum": [*names("method"), "qlora", "none"]}
    lora = next(one for one in schema["properties"]["method"]["anyOf"][1:] if one["properties"]["name"] == {"const": "lora"})
    assert lora["properties"]["r"] == {"description": "Rank of the change.", "type": "integer", "default": 16}
    assert lora["additionalProperties"] is False
    plain, *with_options = schema["$defs"]["EvaluateSpec"]["properties"]["metrics"]["anyOf"][0]["items"]["anyOf"]
    assert plain == {"enum": names("metric")}
    required = {one["properties"]["name"]["const"]: one["required"] for one in with_options}
    assert required == {
        "choice_accuracy": ["name"],
        "f1": ["name"],
        "grade_mae": ["name"],
        "grade_spearman": ["name"],
        "instructions_followed": ["name", "instructions"],
        "json_schema": ["name", "schema"],
    }


def test_schema_says_which_keys_are_needed_and_what_they_mean() -> None:
    schema = json_schema()
    assert schema["required"] == ["model", "data"]
    train = schema["$defs"]["TrainSpec"]["properties"]
    assert train["epochs"] == {
        "default": 1.0,
        "description": "Passes over the training rows.",
        "exclusiveMinimum": 0,
        "title": "Epochs",
        "type": "number",
    }


def test_schema_is_plain_json_and_lists_every_section() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == set(recipe.Recipe.model_fields)
    assert {"ModelSpec", "DataSpec", "TrainSpec", "EvaluateSpec", "EngineSpec", "DomainSpec"} <= set(schema["$defs"])


def test_a_plug_in_that_takes_other_options_lets_them_stand() -> None:
    methods = json_schema()["properties"]["method"]["anyOf"][1:]
    peft = next(one for one in methods if one["properties"]["name"] == {"const": "peft"})
    assert peft["additionalProperties"] is True
    assert set(peft["properties"]) == {"name", "peft_type"}
    spec = recipe.from_mapping({"model": "m", "data": "d", "method": {"name": "peft", "peft_type": "LOHA", "r": 4}}, name="t").method
    assert spec.options == {"peft_type": "LOHA", "r": 4}
