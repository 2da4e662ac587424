"""`method: qlora` stands for lora and nf4."""

from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import from_mapping, load


@pytest.mark.parametrize("override", ["method.name=qlora", "method=qlora"])
def test_qlora_on_the_command_line_keeps_the_recipes_options_and_sets_nf4(override: str) -> None:
    plain, found = load("docstrings"), load("docstrings", [override])
    assert found.method == plain.method
    assert found.method.name == "lora"
    assert found.model.quantization == "nf4"


@pytest.mark.parametrize(
    ("model", "form"),
    [("some", "nf4"), ({"source": "some", "quantization": "int8"}, "int8"), ({"source": "some", "quantization": "none"}, "nf4")],
)
def test_a_form_that_is_set_stays(model: Any, form: str) -> None:
    recipe = from_mapping({"model": model, "data": "some", "method": {"name": "qlora", "r": 2}}, name="a")
    assert (recipe.method.name, recipe.method.options["r"], recipe.model.quantization) == ("lora", 2, form)


def test_another_model_given_with_it_is_quantized_too() -> None:
    recipe = load("docstrings", ["method=qlora", "model=other", "method.r=3"])
    assert (recipe.model.source, recipe.model.quantization, recipe.method.options["r"]) == ("other", "nf4", 3)


def test_none_is_no_quantization_and_an_unknown_form_is_told() -> None:
    assert load("docstrings", ["model.quantization=none"]).model.quantization is None
    with pytest.raises(RecipeError, match=r"model\.quantization: .*int8"):
        load("docstrings", ["model.quantization=int3"])


def test_a_folder_on_the_command_line_reaches_the_sources_of_a_mixture_too() -> None:
    mix = {"first": {"source": {"glue": "rte"}}, "second": {"source": "reviews.csv", "test": {"superglue": "rte:validation"}}}
    recipe = from_mapping({"model": "some", "data": {"mix": mix}}, name="a", overrides=["data.folder=here"])
    assert recipe.data.mix["first"].source == {"glue": "rte", "folder": "here"}
    assert recipe.data.mix["second"].source == "reviews.csv"
    assert recipe.data.mix["second"].test == {"superglue": "rte:validation", "folder": "here"}


def test_a_folder_replaces_the_one_that_a_recipe_names() -> None:
    train = {"glue": "rte", "folder": "there"}
    assert from_mapping({"model": "some", "data": {"train": train, "folder": "here"}}, name="a").data.train == {
        "glue": "rte",
        "folder": "here",
    }
    assert train["folder"] == "there"
