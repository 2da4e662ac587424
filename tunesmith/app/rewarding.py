"""The rewards of a recipe, made ready: the runs that they ask are loaded once, and what each says of answers is summed by its weight."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.app.learned import answers, named
from tunesmith.app.tuned import Tuned, load_tuned
from tunesmith.core import registry
from tunesmith.core.errors import RecipeError, RewardError, RunError, UsageError, did_you_mean
from tunesmith.core.rewards import Response, Reward
from tunesmith.core.run import find_run
from tunesmith.core.types import Example, Output
from tunesmith.recipe import PluginSpec, Recipe

__all__ = ["Rewarded", "Rewards", "ready_rewards"]

_KINDS = {"model": "reward_model", "classifier": "classification"}
"""Rewards that ask a run, and what that has to have learned."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """What answers got."""

    sums: list[float]
    """Of each answer, the weighted sum."""
    parts: dict[str, list[float]]
    """Each reward by its name, before it is weighed."""


class Rewards:
    """Rewards by the names that a report gives them."""

    def __init__(self, rewards: Mapping[str, Reward], runs: dict[str, Tuned]) -> None:
        """`runs`: those that rewards ask, by the names that they use."""
        self._rewards, self._runs = dict(rewards), runs

    @property
    def names(self) -> list[str]:
        """In the recipe's order."""
        return list(self._rewards)

    def __call__(self, responses: Sequence[Response]) -> Rewarded:
        """What each answer gets. Raises: TunesmithError, where a reward cannot be had."""
        parts = dict[str, list[float]]()
        for name, reward in self._rewards.items():
            parts[name] = list(reward.score(responses, self._ask))
            wrong = next((index for index, value in enumerate(parts[name]) if not math.isfinite(value)), None)
            if wrong is not None:
                origin = responses[wrong].example.origin
                raise RewardError(
                    f"rewards: {name}: gave {parts[name][wrong]} for an answer to {origin.file}:{origin.row}, expected a finite number. Look at what it reads: {responses[wrong].text[:60]!r}."
                )
        sums = [sum(reward.weight * parts[name][index] for name, reward in self._rewards.items()) for index in range(len(responses))]
        return Rewarded(sums, parts)

    def _ask(self, run: str, examples: Sequence[Example]) -> list[Output]:
        return self._runs[run].ask(examples).outputs


def ready_rewards(
    recipe: Recipe, specs: Sequence[PluginSpec], key: str, runs: dict[str, Tuned], told: Callable[[str], None]
) -> Rewards | None:
    """The rewards, with the runs that they ask loaded; None where there are none.

    Args:
        key: where the recipe names them.
        runs: those that are loaded already; what is loaded is added.
        told: is told which run is being loaded.
    Raises: RecipeError, naming the reward, where its options are wrong or its run is not there, learned something else, or knows no such class.
    """
    made, taken = dict[str, Reward](), dict[str, int]()
    for place, spec in enumerate(specs):
        where = f"{recipe.name}: {key}[{place}]"
        try:
            reward: Reward = registry.create("reward", spec.name, **spec.options)
            if spec.name in _KINDS:
                found = _load(str(spec.options["run"]), _KINDS[spec.name], runs, told)
                if spec.name == "classifier" and spec.options["label"] not in found.classes:
                    raise UsageError(
                        f"label: {spec.options['run']} has no class {spec.options['label']}.{did_you_mean(str(spec.options['label']), found.classes)}"
                    )
        except (UsageError, RunError) as error:
            raise RecipeError(f"{where}: {error}") from None
        taken[spec.name] = taken.get(spec.name, 0) + 1
        called = str(spec.options["metric"]) if spec.name == "metric" else spec.name
        made[called if called not in made else f"{called} {taken[spec.name]}"] = reward
    return Rewards(made, runs) if made else None


def _load(run: str, kind: str, runs: dict[str, Tuned], told: Callable[[str], None]) -> Tuned:
    if run in runs:
        found = runs[run]
    else:
        told(run)
        found = load_tuned(find_run(run))
    if found.kind != kind:
        wanted = "a reward model (objective: reward)" if kind == "reward_model" else "a classifier (objective: classify)"
        raise UsageError(f"{run}: tuned {named(found.kind) if not answers(found.kind) else 'a language model'}, expected {wanted}.")
    runs[run] = found
    return found
