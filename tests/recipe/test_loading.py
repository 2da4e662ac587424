"""Recipes are read, changed from the command line, resolved, and written back."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith import recipe
from tunesmith.core.errors import RecipeError
from tunesmith.recipe import DomainSpec, Limit, PluginSpec, Recipe

SMALL = {"model": "minilm-l6", "data": "reviews.csv"}


def read(*overrides: str, **keys: object) -> Recipe:
    return recipe.from_mapping({**SMALL, **keys}, name="small", overrides=overrides)


@pytest.mark.parametrize("name", recipe.shipped_recipes())
def test_shipped_recipe_is_short_described_and_comes_back_from_its_dump(name: str) -> None:
    loaded = recipe.load(name)
    assert loaded.name == name
    assert loaded.description.endswith(".")
    assert recipe.parse(recipe.dump(loaded), name="other") == loaded
    lines = (Path(recipe.__file__).parents[1] / "recipes" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    settings = lines[: lines.index("arms:")] if "arms:" in lines else lines  # an arm is a line
    assert len(settings) <= 14


def test_shipped_recipes_are_those_promised() -> None:
    promised = {"docstrings", "domain-corpus", "multi-task", "reviews", "sentiment-imdb", "small-talk", "writing-style"}
    assert promised <= set(recipe.shipped_recipes())


@pytest.mark.parametrize("name", ["docstrings", "small-talk"])
def test_language_model_recipes_ask_how_to_fine_tune(name: str) -> None:
    assert "Tell me how to fine-tune a model" in recipe.load(name).evaluate.prompts


def test_plain_values_stand_for_the_first_key() -> None:
    loaded = read(evaluate={"domains": {"tweets": "tweets.csv"}}, method="head", objective="classify")
    assert loaded.model.source == "minilm-l6"
    assert loaded.data.train == "reviews.csv"
    assert loaded.evaluate.domains == {"tweets": DomainSpec(source="tweets.csv")}
    assert (loaded.method.name, loaded.objective and loaded.objective.name) == ("head", "classify")
    assert recipe.from_mapping({"model": "m", "data": {"train": "t", "limit": 7}}, name="x").data.limit == Limit(train=7)


def test_defaults_are_filled_in_from_the_plug_ins_source() -> None:
    loaded = read(method={"name": "lora", "r": 2})
    options = {"r": 2, "lora_alpha": 32.0, "lora_dropout": 0.0, "target_modules": "all-linear", "use_rslora": False, "use_dora": False}
    options |= {"rank_pattern": None, "alpha_pattern": None, "modules_to_save": None, "base_precision": "exact"}
    assert loaded.method == PluginSpec("lora", options)
    assert read().method.name == "lora"
    assert read().objective is None


def test_an_empty_section_is_one_of_defaults() -> None:
    assert recipe.parse("model: m\ndata: d\ntrain:\n", name="x").train == recipe.TrainSpec()


def test_label_keys_are_text_whatever_yaml_makes_of_them() -> None:
    text = "model: m\ndata: {train: t, labels: {0: negative, 1: positive, no: 'no', true: yes, 2.50: 3}}"
    assert recipe.parse(text, name="x").data.labels == {"0": "negative", "1": "positive", "no": "no", "true": "yes", "2.50": "3"}


@pytest.mark.parametrize(("text", "value"), [("2e-4", 2e-4), ("1", 1.0), (".5", 0.5), ("1_0", None), ("'2e-4'", None)])
def test_numbers_are_those_of_yaml_1_2(text: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(RecipeError, match="expected a number"):
            recipe.parse(f"model: m\ndata: d\ntrain: {{learning_rate: {text}}}", name="x")
    else:
        assert recipe.parse(f"model: m\ndata: d\ntrain: {{learning_rate: {text}}}", name="x").train.learning_rate == value


def test_overrides_reach_every_level_and_spell_shorthands_out() -> None:
    changed = read(
        "train.epochs=3",
        "model.max_length=128",
        "data.columns.text=review",
        "data.columns.label=1",
        "data.limit.test=9",
        "data.template=Label: {text}",
        "evaluate.domains.tweets.limit=5",
        "evaluate.prompts=[a, b]",
        "method.r=4",
        "data.validation=null",
        data={"train": "reviews.csv", "limit": 100, "validation": "other.csv"},
        evaluate={"domains": {"tweets": "tweets.csv"}},
    )
    assert (changed.train.epochs, changed.model.source, changed.model.max_length) == (3.0, "minilm-l6", 128)
    assert changed.data.columns == {"text": "review", "label": "1"}
    assert changed.data.limit == Limit(train=100, test=9)
    assert changed.data.template == "Label: {text}"
    assert changed.data.validation is None
    assert changed.evaluate.domains["tweets"] == DomainSpec(source="tweets.csv", limit=5)
    assert changed.evaluate.prompts == ["a", "b"]
    assert changed.method.options["r"] == 4


def test_a_template_is_a_text_or_a_list_of_texts() -> None:
    for text, expected in (
        ("Label: {text}", "Label: {text}"),
        ("['a {text}', 'b: {text}']", ["a {text}", "b: {text}"]),
        ("null", None),
        ("[{text}] is", "[{text}] is"),
    ):
        assert read(f"data.template={text}", data={"train": "a.csv", "template": ["{text}", "x {text}"]}).data.template == expected
    for wrong in ([], [1], 3):
        with pytest.raises(RecipeError, match=r"data\.template"):
            read(data={"train": "a.csv", "template": wrong})
    for wrong in ("first", "answers"):
        with pytest.raises(RecipeError, match=r"data\.loss_on: .*completion.*assistant.*all.*last"):
            read(f"data.loss_on={wrong}")


@pytest.mark.parametrize("overrides", [("method.name=head",), ("method=head",), ("method.name=full",)])
def test_another_method_leaves_the_options_of_the_recipes_own_behind(overrides: tuple[str, ...]) -> None:
    changed = read(*overrides, method={"name": "lora", "r": 2})
    assert changed.method.name == overrides[0].partition("=")[2]
    assert "r" not in changed.method.options


def test_the_methods_name_is_taken_before_its_options() -> None:
    assert read("method.r=3", "method.name=lora", method="head").method.options["r"] == 3


def test_naming_the_same_method_again_keeps_its_options() -> None:
    assert read("method.name=lora", method={"name": "lora", "r": 2}).method.options["r"] == 2


def test_the_same_method_written_out_again_leaves_the_recipes_rate() -> None:
    given_recipe = {"method": {"name": "lora", "r": 2}, "train": {"learning_rate": 0.5}}
    again = read("method={name: lora, lora_alpha: 8}", **given_recipe)
    assert (again.train.learning_rate, again.method.options["lora_alpha"]) == (0.5, 8)
    assert again.method.options.get("r") != 2
    assert read("method={name: full, layer_decay: 0.5}", **given_recipe).train.learning_rate == "auto"  # the rate was lora's


def test_mapping_is_left_as_it_was() -> None:
    given_mapping = {"model": "m", "data": {"train": "t", "columns": {}}}
    recipe.from_mapping(given_mapping, name="x", overrides=["data.columns.text=review", "model.max_length=3"])
    assert given_mapping == {"model": "m", "data": {"train": "t", "columns": {}}}


def test_file_is_found_by_its_path_and_gives_the_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("\ufeffmodel: m\ndata: d.csv\n", encoding="utf-8")
    assert recipe.load(file).name == "mine"
    assert recipe.load(str(file), ["name=other"]).name == "other"


WORDS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12),
    st.sampled_from(
        [
            "no",
            "null",
            "~",
            "1",
            "2e-4",
            "1e3",
            "0x1f",
            "010",
            "1:30",
            "2001-01-01",
            "true",
            "yes",
            "=",
            "<<",
            "- a",
            "a: b",
            "# c",
            " x",
            "x\n",
            "\tx",
            "\u2028",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    columns=st.dictionaries(WORDS, WORDS, max_size=3),
    template=st.none() | WORDS,
    prompts=st.lists(WORDS, max_size=3),
    learning_rate=st.floats(1e-12, 1e6),
    epochs=st.integers(1, 10**6) | st.floats(0.001, 100),
    target_modules=WORDS | st.lists(WORDS, min_size=1, max_size=3),
    limit=st.none() | st.integers(2, 10**9),
)
def test_dump_comes_back_equal(
    columns: dict[str, str],
    template: str | None,
    prompts: list[str],
    learning_rate: float,
    epochs: float,
    target_modules: object,
    limit: int | None,
) -> None:
    first = recipe.from_mapping(
        {
            "model": {"source": "m", "max_length": limit},
            "data": {"train": "t", "columns": columns, "labels": columns, "template": template, "limit": {"train": limit}},
            "method": {"name": "lora", "target_modules": target_modules},
            "train": {"learning_rate": learning_rate, "epochs": epochs},
            "evaluate": {"prompts": prompts, "domains": {"other": {"source": "o", "labels": columns}}},
        },
        name="x",
    )
    text = recipe.dump(first)
    assert recipe.parse(text, name="other") == first
    assert yaml.safe_load(text)["data"]["template"] == template  # other programs read YAML 1.1
