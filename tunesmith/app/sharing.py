"""Several tasks on one base: each has modules of its own over tensors that all share, so that no task can change another."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.folding import base_sha256
from tunesmith.app.learned import Learned, learned
from tunesmith.app.new_network import made_anew
from tunesmith.app.placing import trained_in_place
from tunesmith.app.task import load_model
from tunesmith.app.tuned import saved_model
from tunesmith.app.vocabulary import TOKENS_FILE, add_saved_tokens
from tunesmith.core import registry
from tunesmith.core.errors import RunError
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Method, Objective
from tunesmith.model.facts import read_facts
from tunesmith.model.load import LoadedModel
from tunesmith.model.source import Request, drawn, resolve
from tunesmith.recipe import Recipe

__all__ = ["OneOfMany", "Shared", "load_shared"]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class OneOfMany:
    """A run, and what it takes to put what it trained on its base."""

    directory: RunDirectory
    known: Learned
    objective: Objective
    method: Method
    saved: Path

    @property
    def is_new(self) -> bool:
        """Whether its network was made for it: no other run has the same, and what it saved is all that there is of it."""
        return self.known.recipe.model.architecture is not None


@dataclass(frozen=True, slots=True)
class Shared:
    """A base, loaded once, and the runs that were tuned on it."""

    base: LoadedModel
    """As it was loaded, in float32, on the CPU, nothing of it to be trained; runs share what it is made into before they are."""
    runs: list[OneOfMany]

    def trains_base(self, one: OneOfMany) -> bool:
        """Whether the run's method trained tensors of its base in place."""
        return bool(trained_in_place(one.method, self._begun(one).trunk))

    def model_of(self, one: OneOfMany) -> LoadedModel:
        """The base as the run's task begins with it: the method is not applied yet.

        Every tensor is the base's own, but for those that the method trains in place.
        """
        shared = {id(tensor) for tensor in _tensors(self.base.trunk)}
        model = self._begun(one)
        own = trained_in_place(one.method, model.trunk)
        return replace(model, trunk=_sharing(model.trunk, shared - own)) if own & shared else model

    def _begun(self, one: OneOfMany) -> LoadedModel:
        """The base with the tokens that the run added, every tensor the base's own that they leave as it is."""
        base, recipe = self.base, one.known.recipe
        shared = {id(tensor) for tensor in _tensors(base.trunk)}
        has_tokens = (one.saved / TOKENS_FILE).is_file()
        trunk = _sharing(
            base.trunk, shared - (_vocabulary(base.trunk) if has_tokens else set())
        )  # new rows may find room in the old matrix
        tokenizer = copy.deepcopy(base.tokenizer)
        facts = read_facts(
            trunk, tokenizer, base.source, pad_token_id=base.facts.pad_token_id, is_causal=base.facts.is_causal,
            max_length=recipe.model.max_length,
        )  # fmt: skip
        return add_saved_tokens(replace(base, trunk=trunk, tokenizer=tokenizer, facts=facts), one.saved)

    def loaded(self, one: OneOfMany) -> LoadedModel:
        """The run's model as it was trained, adapters unmerged, in float32."""
        model = self.model_of(one)
        one.method.apply(model.trunk)
        one.method.load(model.trunk, one.saved)
        model.trunk.eval()
        return model


def load_shared(directories: Iterable[RunDirectory]) -> Shared:
    """Load the base of several runs once. Raises: RunError, where a run saved no model, or they were tuned on different bases."""
    runs = [_one(directory) for directory in directories]
    first = runs[0]
    _check_one_base(runs)
    base = load_model(_exact(first.known), first.objective, lambda event: None, first.saved if first.is_new else None)
    base.trunk.requires_grad_(False)
    for one in runs[1:]:
        if _need(one.objective) != _need(first.objective):
            other = load_model(_exact(one.known), one.objective, lambda event: None)
            if type(other.trunk) is not type(base.trunk):
                raise RunError(
                    f"{one.directory.id}: reads its base as {type(other.trunk).__name__}, {first.directory.id} as {type(base.trunk).__name__}. "
                    "Take runs of one kind."
                )
    return Shared(base, runs)


def _one(directory: RunDirectory) -> OneOfMany:
    known = learned(directory)
    recipe = known.recipe
    objective: Objective = registry.create("objective", known.objective, **(recipe.objective.options if recipe.objective else {}))
    method = chosen_method(recipe)
    return OneOfMany(directory, known, objective, method, saved_model(directory))


def _check_one_base(runs: list[OneOfMany]) -> None:
    found = []
    for one in runs:
        if one.is_new:
            found.append(base_sha256(made_anew(one.known.recipe, (), one.saved), ()))
            continue
        spec = one.known.recipe.model
        info = resolve(Request(spec.source, spec.revision, spec.trust_remote_code, beside=spec.beside))
        info = drawn(info, one.known.recipe.seed) if spec.weights == "random" else info
        found.append(base_sha256(info, info.adapters))
    for one, sha in zip(runs, found, strict=True):
        if sha != found[0]:
            raise RunError(
                f"{one.directory.id}: was tuned on {one.known.recipe.model.source} ({sha[:_SHOWN]}), {runs[0].directory.id} on "
                f"{runs[0].known.recipe.model.source} ({found[0][:_SHOWN]}). Take runs of one base."
            )


def _need(objective: Objective) -> str:
    return str(getattr(objective, "need", "lm" if objective.uses_lm_head else "any"))


def _exact(known: Learned) -> Recipe:
    """The run's recipe with its base as it came: in full precision, with its own chat template."""
    recipe = known.recipe
    model, data = recipe.model.model_copy(update={"quantization": None}), recipe.data.model_copy(update={"chat_template": None})
    return recipe.model_copy(update={"model": model, "data": data})


def _sharing(trunk: nn.Module, shared: set[int]) -> nn.Module:
    """A copy of the modules, over the same tensors where they are `shared`, by id."""
    return copy.deepcopy(trunk, {id(tensor): tensor for tensor in _tensors(trunk) if id(tensor) in shared})


def _tensors(trunk: nn.Module) -> list[Tensor]:
    return [*trunk.parameters(), *trunk.buffers()]


def _vocabulary(trunk: Any) -> set[int]:
    head = trunk.get_output_embeddings()
    return {id(trunk.get_input_embeddings().weight), *([id(head.weight)] if head is not None else [])}
