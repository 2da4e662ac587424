"""Runs folded into the base that they were tuned on: one whole model, of one task or of several combined.

    W' = W + sum over runs of w_i (W_i - W)        W the base's weight, W_i that of run i with its adapter folded in

Changes are added as they are, not the factors that an adapter keeps them in: for LoRA, (sum of w_i B_i) (sum of w_i A_i) would be another change.

Source: Wortsman et al. (2022), "Model soups", https://arxiv.org/abs/2203.05482; Ilharco et al. (2023), "Editing Models with Task Arithmetic",
https://arxiv.org/abs/2212.04089, equation of section 2, for sums of changes.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tunesmith.app.decoding import found_decoding
from tunesmith.app.earlier import saved_heads
from tunesmith.app.interruption import Interruption
from tunesmith.app.learned import require_trained
from tunesmith.app.sharing import OneOfMany, Shared, load_shared
from tunesmith.app.task import use_chat_template
from tunesmith.app.vocabulary import TOKENS_FILE
from tunesmith.core.errors import MethodError, RunError, UsageError
from tunesmith.core.events import Event, Stage
from tunesmith.core.files import folders_made, staged_folder
from tunesmith.core.run import RunDirectory
from tunesmith.method._peft import merge_adapter
from tunesmith.model._quiet import quiet
from tunesmith.model.heads import save_heads, write_label_map
from tunesmith.model.load import LoadedModel

__all__ = ["TOLERANCE", "Heads", "Merged", "merge_runs", "merged_model", "sample_outputs", "write_heads"]

TOLERANCE = 1e-4
"""The most that an output of the merged model may be off what the runs' own say, in float32, as a share of the largest output, or of 1."""
_NUM_CHECKED_TEXTS, _CHECKED_TOKENS = 4, 32

Say = Callable[[Event], None]


def merge_runs(
    directories: Sequence[RunDirectory], output: Path, *, weights: Sequence[float] | None = None, progress: Say | None = None
) -> dict[str, Any]:
    """Write one whole model, in float32: the base with what the runs trained on it.

    Before anything is written its outputs are compared with those of the base beside the runs' own unmerged layers.

    Args:
        output: a folder that is not there yet: transformers' files, the tokenizer's, and a run's heads beside them.
        weights: how much of each run's change is added; None: all of a single run's, else an equal share of each.
    Returns: {output, base, base_sha256, runs: [{run, method, weight}], changed_parameters, max_difference, tolerance, bytes, notes}.
    Raises: UsageError, RunError, MethodError: nothing is written then.
    """
    shares = _shares(directories, weights)
    if output.exists():
        raise UsageError(f"{output}: exists. Name a folder that does not.")
    with Interruption() as interruption:
        say = interruption.checked(progress)
        merged = merged_model(directories, shares, say)
        say(Stage("save", str(output)))
        with folders_made(output), staged_folder(output) as staging, quiet():
            _write(merged.model, merged.heads, staging)
            again = _loaded_again(merged.model.trunk, staging)
            _compare(sample_outputs(again, merged.model), merged.expected, "merged, written and loaded again")
            num_bytes = sum(file.stat().st_size for file in staging.iterdir())
    return {
        "output": str(output),
        "base": merged.base.source.name,
        "base_sha256": str(merged.base.trunk.base_sha256),
        "runs": [
            {"run": one.directory.id, "method": one.known.recipe.method.name, "weight": share}
            for one, share in zip(merged.runs, shares, strict=True)
        ],
        "changed_parameters": merged.num_changed,
        "max_difference": merged.difference,
        "tolerance": TOLERANCE,
        "bytes": num_bytes,
        "notes": merged.notes,
    }


@dataclass(frozen=True, slots=True)
class Merged:
    """Runs folded into their base, in float32, on the CPU."""

    base: LoadedModel
    runs: list[OneOfMany]
    model: LoadedModel
    heads: "Heads | None"
    num_changed: int
    """Parameters that are other than the base's."""
    expected: Tensor
    """What the unmerged model says to the tokens of `sample_outputs`."""
    difference: float
    """The most that the merged one is off that."""

    @property
    def notes(self) -> list[str]:
        """What there is to say of the runs."""
        return [note for one in self.runs for note in (_whole(one), _rounded(one), _spoken(one, self.runs[0]), _drawn(one)) if note]


def merged_model(directories: Sequence[RunDirectory], shares: Sequence[float], say: Say) -> Merged:
    """Fold runs into their base and compare with what they say unmerged. Raises: RunError, MethodError."""
    say(Stage("model", ", ".join(directory.id for directory in directories)))
    shared = load_shared(directories)
    heads = _heads(shared)
    _check_mergeable(shared.runs)
    say(Stage("merge", f"{len(shared.runs)} of one base"))
    unmerged = [shared.loaded(one) for one in shared.runs]
    model, num_changed = _merged(shared, unmerged, shares)
    use_chat_template(shared.runs[0].known.recipe, model, shared.runs[0].saved)
    say(Stage("check", "merged against unmerged"))
    expected = sample_outputs(_beside(shared, unmerged, shares), unmerged[0])
    difference = _compare(sample_outputs(model.trunk, model), expected, "merged")
    return Merged(shared.base, shared.runs, model, heads, num_changed, expected, difference)


def _shares(directories: Sequence[RunDirectory], weights: Sequence[float] | None) -> list[float]:
    if not directories:
        raise UsageError("merge needs at least one run.")
    ids = [directory.path.resolve() for directory in directories]
    twice = next((path for path in ids if ids.count(path) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice.name}: is named twice. Give it once, with --weights.")
    shares = [1.0 / len(directories)] * len(directories) if weights is None else [float(weight) for weight in weights]
    if len(shares) != len(directories):
        raise UsageError(f"--weights: found {len(shares)}, expected one for each of {len(directories)} runs.")
    return shares


def _check_mergeable(runs: Sequence[OneOfMany]) -> None:
    for one in runs:
        require_trained(one.known, one.directory.id)
        name = one.known.recipe.method.name
        if not one.method.mergeable:
            raise MethodError(f"{one.directory.id}: what the method {name} trains cannot be folded into a model's weights.")
        if len(runs) > 1 and (one.saved / TOKENS_FILE).is_file():
            raise RunError(f"{one.directory.id}: has tokens of its own (model.add_tokens), which other runs have not. Merge it alone.")


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads of a run, and their labels."""

    heads: dict[str, Any]
    labels: tuple[str, ...]


def _heads(shared: Shared) -> Heads | None:
    """The heads of the runs. Raises: RunError, where two have different ones; MethodError, where they were trained on another base."""
    having = [one for one in shared.runs if one.directory.heads.is_file()]
    if not having:
        return None
    first, labels = saved_heads(having[0].directory, shared.base.trunk)
    tensors = load_file(having[0].directory.heads)
    for one in having[1:]:
        _, others = saved_heads(one.directory, shared.base.trunk)
        found = load_file(one.directory.heads)
        if others != labels or found.keys() != tensors.keys() or any(not torch.equal(found[name], tensors[name]) for name in tensors):
            raise RunError(
                f"{one.directory.id}: has another head than {having[0].directory.id}. Heads are not combined; merge each of these runs alone."
            )
    return Heads(dict(first), labels)


def _merged(shared: Shared, unmerged: Sequence[LoadedModel], shares: Sequence[float]) -> tuple[LoadedModel, int]:
    """The base with the runs' changes added, and how many of its parameters are other than they were."""
    folded = [_folded(model) for model in unmerged]
    base = dict(shared.base.trunk.named_parameters(remove_duplicate=False))
    if list(shares) == [1.0]:
        return folded[0], sum(_num_changed(base[name], p) for name, p in folded[0].trunk.named_parameters())
    # where one run parted a tied matrix, the merged model has two
    model = next((m for m in folded if not getattr(m.trunk.config, "tie_word_embeddings", False)), folded[0])
    merged = replace(model, trunk=copy.deepcopy(model.trunk))
    runs, num_changed = [dict(one.trunk.named_parameters(remove_duplicate=False)) for one in folded], 0
    for name, parameter in merged.trunk.named_parameters():
        was = base[name].detach()
        if parameter.shape != was.shape:
            raise RunError("a run with tokens of its own (model.add_tokens) is merged with a weight of 1 only.")
        changes = [
            share * (run[name].detach().double() - was.double())
            for share, run in zip(shares, runs, strict=True)
            if run[name] is not base[name]
        ]
        parameter.data = torch.stack([was.double(), *changes]).sum(0).to(was.dtype)
        num_changed += _num_changed(was, parameter)
    return merged, num_changed


def _num_changed(was: Tensor, now: Tensor) -> int:
    """Numbers that differ, rows of new tokens among them."""
    return int((now[: len(was)] != was).sum()) + now[len(was) :].numel()


def _folded(model: LoadedModel) -> LoadedModel:
    """A copy with the adapter folded in; tensors of the base that it does not change are the base's own."""
    shared = {id(p): p for p in model.trunk.parameters() if not p.requires_grad}
    owned = {id(p) for module in model.trunk.modules() if hasattr(module, "get_base_layer") for p in module.get_base_layer().parameters()}  # type: ignore[operator]
    trunk = copy.deepcopy(model.trunk, {key: p for key, p in shared.items() if key not in owned})
    merge_adapter(trunk)
    return replace(model, trunk=trunk.eval())


class _Beside(nn.Module):
    """A module of the base, and beside it the runs' own: `base(x) + sum of w_i (run_i(x) - base(x))`."""

    def __init__(self, base: nn.Module, runs: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.base, self.runs, self.shares = base, nn.ModuleList(run for _, run in runs), [share for share, _ in runs]

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Holds for modules that are linear in their weights, as linear layers, embeddings and norms are."""
        said: Tensor = self.base(*args, **kwargs)
        return said + sum(
            (share * (run(*args, **kwargs) - said) for share, run in zip(self.shares, self.runs, strict=True)), torch.zeros_like(said)
        )

    def __getattr__(self, name: str) -> Any:
        """What code reads of the module beside calling it, such as a size, is the base's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)


def _beside(shared: Shared, unmerged: Sequence[LoadedModel], shares: Sequence[float]) -> nn.Module:
    """The base with the runs' unmerged layers beside its own."""
    if list(shares) == [1.0]:
        return unmerged[0].trunk
    trunk = copy.deepcopy(shared.base.trunk)
    for path, module in list(shared.base.trunk.named_modules()):
        if not module._parameters:
            continue
        runs = [(share, found) for share, model in zip(shares, unmerged, strict=True) if (found := _changed(model.trunk, path, module))]
        if runs:
            parent, _, leaf = path.rpartition(".")
            setattr(trunk.get_submodule(parent), leaf, _Beside(trunk.get_submodule(path), runs))
    return trunk.eval()


def _changed(trunk: nn.Module, path: str, base: nn.Module) -> nn.Module | None:
    """The module at `path`, where it is another than the base's, or has other parameters."""
    found = trunk.get_submodule(path)
    own = {id(p) for p in base.parameters()}
    return None if {id(p) for p in found.parameters()} == own else found


def sample_outputs(trunk: Any, model: LoadedModel) -> Tensor:
    """Logits, or hidden states where there is no vocabulary head, of seeded random tokens, or numbers."""
    facts = model.facts
    draw = torch.Generator().manual_seed(0)
    if facts.num_columns:
        with torch.no_grad():
            states: Tensor = trunk(inputs_embeds=_rows_of_numbers(trunk, facts.num_columns, draw))[0]
        return states
    size = min(facts.vocab_size, trunk.get_input_embeddings().weight.shape[0])
    tokens = torch.randint(0, size, (_NUM_CHECKED_TEXTS, min(_CHECKED_TOKENS, facts.max_length)), generator=draw)
    given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    if facts.is_encoder_decoder:
        given["decoder_input_ids"] = tokens
    with torch.no_grad():
        said: Tensor = trunk(**given)[0]
    return said


def _rows_of_numbers(trunk: Any, num_columns: int, draw: torch.Generator) -> Tensor:
    """Rows as the network was standardized for, (n, 1, C): far from them activations are flat, or so large that a difference is lost in them."""
    rows = torch.randn(_NUM_CHECKED_TEXTS, 1, num_columns, generator=draw)
    first = trunk.config.layers[0]
    return rows * torch.tensor(first["variance"]).sqrt() + torch.tensor(first["mean"]) if first["class"] == "Normalization" else rows


def _compare(found: Tensor, expected: Tensor, name: str) -> float:
    """The largest difference. Raises: RunError, where it is too large."""
    difference = float((found - expected).abs().max())
    most = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= most:
        raise RunError(
            f"the model {name} says something else than unmerged: outputs differ by {difference:.2g}, expected at most {most:.2g}."
        )
    return difference


def _loaded_again(trunk: Any, folder: Path) -> nn.Module:
    found: nn.Module = type(trunk).from_pretrained(str(folder), dtype=torch.float32)
    return found.eval()


def _write(model: LoadedModel, heads: Heads | None, folder: Path) -> None:
    trunk: Any = model.trunk
    write_heads(model, heads, folder)
    trunk.save_pretrained(str(folder))
    model.tokenizer.save_pretrained(str(folder))


def write_heads(model: LoadedModel, heads: Heads | None, folder: Path) -> None:
    """Save a run's heads beside its model, and let the model's config, which is to be written yet, name their labels."""
    if heads is not None:
        if heads.labels:
            write_label_map(model.trunk.config, heads.labels)
        save_heads(heads.heads, heads.labels, folder / "heads.safetensors", folder / "heads.json")


def _whole(one: OneOfMany) -> str:
    """What to say of a run whose network was made for it."""
    return (
        f"{one.directory.id}: its network was made anew: {one.saved} holds all of its weights, and they are taken as they are."
        if one.is_new
        else ""
    )


def _rounded(one: OneOfMany) -> str:
    """What to say of a run that was tuned on a rounded base."""
    kept_in = one.known.recipe.model.quantization or one.method.base_precision
    if kept_in == "exact":
        return ""
    return f"{one.directory.id} was tuned on a base in {kept_in}; its change was merged into the base in full precision, which answers a little otherwise."


def _spoken(one: OneOfMany, first: OneOfMany) -> str:
    """What to say of a run that was tuned with another chat template than the first, whose own goes with the merged model."""
    if one.known.recipe.data.chat_template == first.known.recipe.data.chat_template:
        return ""
    return f"{one.directory.id} was tuned with another chat template than {first.directory.id}, whose own is the merged model's."


def _drawn(one: OneOfMany) -> str:
    """What to say of a run that found how answers are best drawn and cut."""
    found = found_decoding(one.directory)
    if found is None:
        return ""
    numbers = {name: value for name, value in asdict(found).items() if value is not None and name != "seed"}
    said = ", ".join(f"{name} {value:g}" for name, value in numbers.items())
    return f"{one.directory.id} answers by what direct.json says ({said}), which no weight holds: set it where the merged model is asked."
