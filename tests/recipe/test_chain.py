"""Recipes of stages: what a stage takes from its recipe, from the chain and from the command line, and what may stand where."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import is_chain, load, load_chain, require_no_stages, shipped_chains
from tunesmith.recipe.text import write_yaml

SFT = {"model": "tiny", "data": "rows.jsonl", "method": {"name": "lora", "r": 4}, "train": {"epochs": 2, "max_steps": 7}, "seed": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a recipe of one stage's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sft.yaml").write_text(write_yaml(SFT), encoding="utf-8")
    return tmp_path


def chain(stages: Any, **more: Any) -> str:
    Path("all.yaml").write_text(write_yaml({"stages": stages, **more}), encoding="utf-8")
    return "all.yaml"


TWO = {"first": "sft.yaml", "second": {"recipe": "sft.yaml", "model": "stage:first", "train": {"max_steps": 9}, "method": {"name": "full"}}}


def test_a_stage_is_a_recipe_with_changes(folder: Path) -> None:
    found = load_chain(chain(TWO, description="Both."))
    assert (found.name, found.description, list(found.stages), found.output_dir) == ("all", "Both.", ["first", "second"], None)
    first, second = found.recipe("first", {}), found.recipe("second", {"first": Path("/runs/first")})
    assert first == load("sft.yaml").model_copy(update={"name": "all-first"})
    assert (second.train.epochs, second.train.max_steps) == (2, 9)  # sections are put together,
    assert second.method.name == "full"  # a method with its options is another one
    assert "r" not in second.method.options
    assert second.model.source == "run:/runs/first"


def test_a_stage_may_stand_in_the_chain_itself(folder: Path) -> None:
    assert load_chain(chain({"only": SFT})).recipe("only", {}).train.max_steps == 7


def test_a_reference_stands_for_a_run_or_for_a_file_in_its_folder(folder: Path) -> None:
    stages = {
        "first": "sft.yaml",
        "second": {
            "recipe": "sft.yaml",
            "model": {"source": "stage:first", "max_length": 64},
            "data": {"train": "stage:first/pairs.jsonl"},
            "objective": "grpo",
            "rewards": [{"name": "ended"}, {"name": "model", "run": "stage:first"}],
        },
    }
    second = load_chain(chain(stages)).recipe("second", {"first": Path("/runs/first")})
    assert (second.model.source, second.model.max_length) == ("run:/runs/first", 64)
    assert second.data.train == "/runs/first/pairs.jsonl"
    assert second.rewards[1].options["run"] == "run:/runs/first"


def test_the_command_line_changes_one_stage_or_all_of_them(folder: Path) -> None:
    found = load_chain(chain(TWO), ["second.train.max_steps=1", "train.learning_rate=0.5", "output_dir=there", "first.method.r=2"])
    first, second = found.recipe("first", {}), found.recipe("second", {})
    assert (first.train.max_steps, second.train.max_steps) == (7, 1)
    assert first.train.learning_rate == second.train.learning_rate == 0.5
    assert first.method.options["r"] == 2
    assert found.output_dir == "there"
    assert first.output_dir is second.output_dir is None


def test_a_seed_is_of_every_stage_that_names_none_itself(folder: Path) -> None:
    own = {"recipe": "sft.yaml", "seed": 1000}

    def seeds(stages: Any, overrides: list[str], **more: Any) -> list[int]:
        found = load_chain(chain(stages, **more), overrides)
        return [found.recipe(stage, {}).seed for stage in found.stages]

    assert seeds({"a": "sft.yaml", "b": own}, []) == [3, 1000]
    assert seeds({"a": "sft.yaml", "b": own}, [], seed=5) == [5, 1000]
    assert seeds({"a": "sft.yaml", "b": own}, ["seed=6"], seed=5) == [6, 1000]
    assert seeds({"a": "sft.yaml", "b": own}, ["b.seed=7"]) == [3, 7]


def test_a_chain_read_back_is_the_same_and_needs_no_other_file(folder: Path) -> None:
    found = load_chain(chain(TWO, seed=5, description="Both."), ["second.train.max_steps=1"])
    Path("dumped.yaml").write_text(found.dump(), encoding="utf-8")
    Path("sft.yaml").unlink()
    again = load_chain("dumped.yaml")
    assert again == found
    assert again.dump() == found.dump()


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no stage of that name": ({"first": "sft.yaml", "b": {"recipe": "sft.yaml", "model": "stage:frist"}}, {}, r'stages\.b: stage:frist: frist is no stage\. Did you mean "first"\?'),
    "one that comes later": ({"a": {"recipe": "sft.yaml", "model": "stage:b"}, "b": "sft.yaml"}, {}, r"stages\.a: stage:b: b comes no earlier\."),
    "itself": ({"a": {"recipe": "sft.yaml", "model": "stage:a"}}, {}, r"stages\.a: stage:a: a comes no earlier\."),
    "a file of none": ({"a": {"recipe": "sft.yaml", "data": {"train": "stage:x/pairs.jsonl"}}}, {}, r"stages\.a: stage:x/pairs\.jsonl: x is no stage\."),
    "a reference in a list": ({"a": {"recipe": "sft.yaml", "objective": "grpo", "rewards": [{"name": "model", "run": "stage:x"}]}}, {}, r"stages\.a: stage:x: x is no stage"),
    "an unknown option of a stage": ({"a": "sft.yaml", "b": {"recipe": "sft.yaml", "method": {"name": "lora", "rank": 4}}}, {}, r"stages\.b: method\.rank: unknown option"),
    "an unknown key of a stage": ({"a": {"recipe": "sft.yaml", "modle": "x"}}, {}, r'stages\.a: modle: unknown key\. Did you mean "model"\?'),
    "an unknown key of the chain": ({"a": "sft.yaml"}, {"train": {"epochs": 1}}, r"all\.yaml: train: unknown key of a recipe with stages.*Known: description, name, output_dir, seed, stages.* What belongs to a stage stands in it\."),
    "a recipe that is not there": ({"a": "nowhere.yaml"}, {}, r"nowhere\.yaml: no such recipe file"),
    "no stages": ({}, {}, r"all\.yaml: stages: expected a mapping of stages to recipes, found"),
    "a list": (["sft.yaml"], {}, r"all\.yaml: stages: expected a mapping of stages to recipes, found"),
    "a name that is no folder's": ({"../a": "sft.yaml"}, {}, r"all\.yaml: stages\.\.\./a: a stage is named by small letters, digits, - and _\."),
    "a number": ({"a": 3}, {}, r"all\.yaml: stages\.a: expected the name of a recipe, or a mapping, found 3\."),
    "a chain in a chain": ({"a": "all.yaml"}, {}, r"all\.yaml: stages\.a: all\.yaml is a recipe of stages itself\. Name its stages here\."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_with_its_stage_in_one_line(folder: Path, case: str) -> None:
    stages, more, text = BAD[case]
    with pytest.raises(RecipeError, match=text) as error:
        load_chain(chain(stages, **more))
    assert "\n" not in str(error.value)


def test_a_wrong_change_on_the_command_line_names_its_stage(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"stages\.second: train\.max_stesp: unknown key\. Did you mean \"max_steps\"\?"):
        load_chain(chain(TWO), ["second.train.max_stesp=1"])
    with pytest.raises(RecipeError, match=r'"second": expected key=value'):
        load_chain(chain(TWO), ["second"])
    with pytest.raises(RecipeError, match=r"stages\.\w+: seed: expected"):
        load_chain(chain(TWO), ["seed=x"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("three.seed=4", '"three.seed=4": three is no stage, and no key of a recipe. Stages: first, second.'),
        ("frist.seed=4", 'frist is no stage, and no key of a recipe. Did you mean "first"? Stages: first, second.'),
        ("trian.epochs=1", 'trian is no stage, and no key of a recipe. Did you mean "train"? Stages: first, second.'),
        ("stages.second.seed=4", "a stage's key begins with the stage. Leave out stages., as in first.train.epochs=1."),
        ("stages=4", "a stage's key begins with the stage."),
    ],
)
def test_a_change_of_no_stage_and_no_key_says_which_stages_there_are(folder: Path, change: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_chain(chain(TWO), [change])
    assert said in str(error.value)
    assert str(error.value).startswith(f'command line: "{change}": ')
    assert "\n" not in str(error.value)


def test_a_chain_without_stages_is_told_to_be_empty(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"stages: expected a mapping of stages to recipes, found an empty one\."):
        load_chain(chain({}))


def test_a_chain_is_no_single_recipe_and_the_other_way_round(folder: Path) -> None:
    file = chain(TWO)
    assert is_chain(file)
    assert not is_chain("sft.yaml")
    with pytest.raises(
        RecipeError, match=r"stages: is a recipe of several stages, and this takes one recipe\. Tune it whole: tunesmith tune all\.yaml"
    ):
        load(file)


@pytest.mark.parametrize("name", shipped_chains())
def test_every_shipped_chain_is_whole(name: str) -> None:
    found = load_chain(name)
    runs = dict[str, Path]()
    for stage in found.stages:
        recipe = found.recipe(stage, runs)
        assert "stage:" not in str(recipe.model_dump()), stage
        runs[stage] = Path("/runs") / stage


@pytest.mark.parametrize(
    ("stages", "more", "overrides", "what"),
    [
        ({"sft": {"recipe": 5}}, {}, [], r"stages\.sft\.recipe: expected the name or the file of a recipe, found 5"),
        (TWO, {"output_dir": 5}, [], r"output_dir: expected a folder, found 5"),
        (TWO, {}, ["second=other.yaml"], r"second is a stage, and a change is of one of its keys, such as second\.train\.epochs=1"),
    ],
)
def test_what_is_no_recipe_no_folder_or_no_change_is_named(
    stages: Any, more: dict[str, Any], overrides: list[str], what: str, folder: Path
) -> None:
    with pytest.raises(RecipeError, match=what):
        load_chain(chain(stages, **more), overrides)


@pytest.mark.parametrize(("name", "chains"), [("sentiment-grpo", "tunesmith tune sentiment;"), ("rlhf-ppo", "tunesmith tune rlhf;")])
def test_a_stage_that_is_run_by_itself_names_the_chain_that_runs_it(name: str, chains: str) -> None:
    with pytest.raises(RecipeError) as error:
        require_no_stages(load(name))
    assert f"{name}: stage:" in str(error.value)
    assert f"Run the chain: {chains}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stage_of_no_shipped_chain_says_what_it_needs_and_a_recipe_without_stages_is_fine(folder: Path) -> None:
    Path("own.yaml").write_text(write_yaml({**SFT, "model": "stage:first"}), encoding="utf-8")
    with pytest.raises(
        RecipeError, match=r"own: stage:first: stands for a run that another stage .* Run the recipe that has it among its stages"
    ):
        require_no_stages(load("own.yaml"))
    require_no_stages(load("sft.yaml"))
    require_no_stages(load("reviews"))
