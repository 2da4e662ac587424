"""Which program a file is for, and files that are neither's."""

import json
from pathlib import Path

import pytest

from tunesmith.cli.main import run
from tunesmith.core.errors import RecipeError
from tunesmith.recipe import load
from tunesmith.recipe.importing import import_recipe

AXOLOTL = "base_model: m\ndatasets: [{path: a/b, type: alpaca}]\nlearning_rate: 1e-4\nmystery: 7\n"


BOMB = (
    "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    + "base_model: *a11\n"
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yml"
    path.write_text(AXOLOTL)
    return path


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "model: m\ndata: d\n", "neither LLaMA-Factory's .* It looks like one of tunesmith's own"),
        ("a.yaml", "a: 1\n", "neither LLaMA-Factory's"),
        ("a.yaml", "- a\n", "expected keys and values"),
        ("a.yaml", "a: [1\n", r"a\.yaml:2: not valid YAML"),
        ("a.json", '{\n"a": 1,}', r"a\.json:2: not valid JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.yaml", "x" * 2**21, "smaller"),
        ("a.yaml", BOMB, "its aliases stand for more than"),
        ("a.yaml", "base_model: &m [*m]\n", r"a\.yaml"),
    ],
)
def test_a_file_of_neither_is_refused_in_one_line(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        import_recipe(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        import_recipe(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_bytes(b"base_model: \xff")
    with pytest.raises(RecipeError, match="not UTF-8"):
        import_recipe(tmp_path / "a.yaml")


def test_the_command_prints_the_recipe_and_lists_the_rest_on_stderr(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "import", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("# Made by `tunesmith recipe import` from config.yml, a file of axolotl.\nmodel:\n  source: m\n")
    assert "mystery" in err


def test_the_command_writes_a_recipe_that_can_be_loaded_and_none_over_another(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "import", str(file), "--out", "mine.yaml"]) == 0
    assert "mystery" in capsys.readouterr().out
    assert load("mine.yaml").train.learning_rate == 1e-4
    assert run(["recipe", "import", str(file), "--out", "mine.yaml"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["recipe", "import", str(file), "--out", "mine.yaml", "--overwrite"]) == 0


def test_the_command_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "import", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["program"], document["file"]) == ("tunesmith/recipe-import/1", "axolotl", None)
    assert {one["key"]: one["value"] for one in document["not_carried_over"]} == {"mystery": "7"}
