"""Chains: recipes that follow each other, each of which may begin with what an earlier one made.

    stages:
      sft: rlhf-sft                                  a recipe by its name or file
      reward: {recipe: rlhf-reward, seed: 1}         with changes
      ppo: {recipe: rlhf-ppo, model: stage:sft, rewards: [{name: model, run: stage:reward}]}

`stage:NAME` stands for the run of that stage, `stage:NAME/FILE` for a file in its folder.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.recipe.loading import from_mapping, read_mapping, shipped_chains
from tunesmith.recipe.messages import shown
from tunesmith.recipe.models import Recipe
from tunesmith.recipe.overrides import apply, split
from tunesmith.recipe.text import parse_yaml, write_yaml

__all__ = ["PREFIX", "Chain", "is_chain", "load_chain", "named_stages", "require_no_stages"]

PREFIX = "stage:"
_OWN = ("name", "description", "stages", "seed", "output_dir")
_NAMES_A_STAGE = re.compile(rf"{PREFIX}([\w-]*)(?:/(\S*))?")
"""A text that merely begins so, such as the prompt `stage: {text}`, names none."""
_FOR_PEOPLE = ("name", "description")
_OF_A_STAGE = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Chain:
    """Recipes in the order in which they are run, with `stage:NAME` where one names another's run."""

    name: str
    description: str
    stages: Mapping[str, Mapping[str, Any]]
    """Each stage's recipe, as a mapping, by the stage's name."""
    output_dir: str | None

    def recipe(self, stage: str, runs: Mapping[str, Path]) -> Recipe:
        """A stage's recipe, with the folders of the runs that it names in place of their stages. Raises: RecipeError."""
        found = {key: one if key in _FOR_PEOPLE else _with_runs(one, runs) for key, one in self.stages[stage].items()}
        return from_mapping(found, name=f"{self.name}-{stage}", where=f"{self.name}: stages.{stage}")

    def dump(self) -> str:
        """As YAML, whole: reading it needs no other file."""
        return write_yaml({"name": self.name, "description": self.description, "stages": {k: dict(v) for k, v in self.stages.items()}})


def is_chain(name_or_path: str | Path) -> bool:
    """Whether it is a recipe of stages. Raises: RecipeError, as `load`."""
    return "stages" in read_mapping(name_or_path)


def load_chain(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Chain:
    """A shipped chain by its name, or the file of one.

    Args:
        overrides: `STAGE.key=value` for one stage, `key=value` for all of them; `output_dir` is the chain's, and so is `seed`, of the stages that name none of their own.
    Raises: RecipeError, in one line, for anything wrong with it or with a stage's recipe.
    """
    where, own = str(name_or_path), read_mapping(name_or_path)
    strange = next((key for key in own if key not in _OWN), None)
    if strange is not None:
        raise RecipeError(
            f"{where}: {strange}: unknown key of a recipe with stages.{did_you_mean(strange, _OWN)} What belongs to a stage stands in it."
        )
    given = own["stages"]
    if not isinstance(given, Mapping) or not given:
        found = "an empty one" if isinstance(given, Mapping) else shown(given)
        raise RecipeError(f"{where}: stages: expected a mapping of stages to recipes, found {found}.")
    wrong = next((name for name in given if not _OF_A_STAGE.fullmatch(name)), None)
    if wrong is not None:
        raise RecipeError(f"{where}: stages.{wrong}: a stage is named by small letters, digits, - and _.")
    name, seed, output_dir = str(own.get("name") or Path(name_or_path).stem), own.get("seed"), own.get("output_dir")
    if output_dir is not None and not isinstance(output_dir, str):
        raise RecipeError(f"{where}: output_dir: expected a folder, found {shown(output_dir)}.")
    changes = dict[str, list[str]]({stage: [] for stage in given})
    for override in overrides:
        keys, text = split(override)
        if keys == ("output_dir",):
            output_dir = text
        elif keys == ("seed",):
            seed = parse_yaml(text, "command line: seed")
        elif keys[0] in given and len(keys) == 1:
            raise RecipeError(
                f'command line: "{override}": {keys[0]} is a stage, and a change is of one of its keys, such as {keys[0]}.train.epochs=1.'
            )
        elif keys[0] in given:
            changes[keys[0]].append(override.partition(".")[2])
        elif keys[0] not in Recipe.model_fields:
            raise RecipeError(f'command line: "{override}": {_no_stage(keys, list(given))}')
        else:
            for stage in given:
                changes[stage].append(override)
    stages = {stage: _stage(where, stage, value, seed, changes[stage]) for stage, value in given.items()}
    chain = Chain(name, str(own.get("description") or ""), stages, output_dir)
    _check(chain, where)
    return chain


def _no_stage(keys: Sequence[str], stages: Sequence[str]) -> str:
    """What is wrong with a change whose first key is neither a stage nor one of a recipe."""
    if keys[0] == "stages":
        return f"a stage's key begins with the stage. Leave out stages., as in {stages[0]}.train.epochs=1."
    near = difflib.get_close_matches(keys[0], [*stages, *Recipe.model_fields], n=1)
    question = f' Did you mean "{near[0]}"?' if near else ""
    return f"{keys[0]} is no stage, and no key of a recipe.{question} Stages: {', '.join(stages)}."


def require_no_stages(recipe: Recipe) -> None:
    """Raises: RecipeError, where a recipe that is run by itself names runs of a chain's stages, naming the chain."""
    found = next((text for text, _, _ in named_stages(recipe.model_dump(mode="json"))), None)
    if found is None:
        return
    chains = [name for name in shipped_chains() if recipe.name in _recipes_of(name)]
    run = (
        f"Run the chain: {' or '.join(f'tunesmith tune {name}' for name in chains)}"
        if chains
        else "Run the recipe that has it among its stages"
    )
    raise RecipeError(
        f"{recipe.name}: {found}: stands for a run that another stage of a chain makes, and this is one stage by itself. {run}; or name a run in its place, as run:ID."
    )


def _recipes_of(chain: str) -> list[str]:
    """The recipes that a shipped chain's stages name."""
    stages = read_mapping(chain)["stages"].values()
    return [str(one if isinstance(one, str) else one.get("recipe")) for one in stages]


def _stage(where: str, stage: str, given: Any, seed: Any, changes: Sequence[str]) -> dict[str, Any]:
    """A stage's recipe as a mapping, its file's keys changed by the stage's own and by the command line's."""
    own = {"recipe": given} if isinstance(given, str) else given
    if not isinstance(own, Mapping):
        raise RecipeError(f"{where}: stages.{stage}: expected the name of a recipe, or a mapping, found {shown(given)}.")
    own = dict(own)
    file = own.pop("recipe", None)
    if file is not None and not isinstance(file, str):
        raise RecipeError(f"{where}: stages.{stage}.recipe: expected the name or the file of a recipe, found {shown(file)}.")
    values = dict(read_mapping(file)) if file is not None else {}
    if "stages" in values:
        raise RecipeError(f"{where}: stages.{stage}: {file} is a recipe of stages itself. Name its stages here.")
    values |= {"seed": seed} if seed is not None else {}
    for key, value in own.items():
        before = values.get(key)
        values[key] = (
            {**before, **value}
            if isinstance(before, Mapping) and isinstance(value, Mapping) and key not in ("method", "objective", "context")
            else value
        )
    values.pop("output_dir", None)
    apply(values, [split(change) for change in changes])
    return values


def _check(chain: Chain, where: str) -> None:
    """Raises: RecipeError, where a stage names one that does not come before it, or its recipe is wrong."""
    earlier = dict[str, Path]()
    for stage in chain.stages:
        for text, named, _ in named_stages(chain.stages[stage]):
            if named not in earlier:
                why = "is no stage" if named not in chain.stages else "comes no earlier"
                raise RecipeError(f"{where}: stages.{stage}: {text}: {named} {why}.{did_you_mean(named, earlier)}")
        chain.recipe(stage, {})
        earlier[stage] = Path(stage)


def named_stages(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a recipe takes from a chain's stages: of each the text, the stage, and the file of it, empty where it is the run."""
    found = [(text, _NAMES_A_STAGE.fullmatch(text)) for key, one in values.items() if key not in _FOR_PEOPLE for text in _texts(one)]
    return [(text, match[1], match[2] or "") for text, match in found if match]


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _with_runs(value: Any, runs: Mapping[str, Path]) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_runs(one, runs) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_runs(one, runs) for one in value]
    match = _NAMES_A_STAGE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] not in runs:
        return value
    run = runs[match[1]]
    return str(run / match[2]) if match[2] else f"run:{run}"
