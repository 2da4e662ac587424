"""What every objective promises, held over every objective found, whatever trains: all weights, adapters, adapters on a base in four bits, soft prompts.

How a step is cut changes neither its loss nor its gradient; what a row costs does not depend on the rows beside it; and both are those of plain transformers
and autograd, of a base in four bits with its weights written out as plain layers.
"""

import copy
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from families import facts_of, make
from plain import PlainForward, without_dropout
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import (
    Chat,
    Completion,
    Example,
    Graded,
    Labelled,
    Message,
    ModelFacts,
    MultiLabelled,
    Objective,
    OnlineObjective,
    Origin,
    Preference,
    Ranked,
    Rated,
    Row,
    SpanQuestion,
    Tagged,
    Text,
    Unpaired,
)
from tunesmith.data import TextEncoder
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kernels.quantized import QuantizedLayer, matrix_of, quantize_weights
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.probe import probe
from tunesmith.engine.rollouts import answered, measure
from tunesmith.engine.scoring import score_answers
from tunesmith.model.heads import Head
from tunesmith.recipe.models import UNTRAINED
from tunesmith.recipe.overlays import stand_in

METHODS: dict[str, dict[str, Any]] = {
    "full": {"name": "full"},
    "lora": {"name": "lora", "r": 2},
    "qlora": {"name": "qlora", "r": 2, "target_modules": ".*(q_proj|v_proj|down_proj|query|value)"},
    "prompt": {"name": "prompt", "num_virtual_tokens": 3},
}
"""`method` of a recipe. Of the layers in four bits some have an adapter, and others have none: each kind has a backward pass of its own."""
TOLERANCE = 1e-6
"""Of a loss, and of a gradient's largest number: models cast to float32 inside, whatever their weights are in."""
WORDS = "the a cat dog mat film sat ran is was good bad very on who yes no it old red".split()
NUM_ROWS = 8


@dataclass(frozen=True)
class Case:
    """Eight examples that an objective learns from, the model that they are read by, and what the encoder knows of them."""

    family: str
    examples: Sequence[Example]
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    numbers: tuple[float, float] = (0.0, 1.0)
    grades: tuple[tuple[float, float], ...] = ()


_DRAW = random.Random(0)


def _text(least: int, most: int) -> str:
    return " ".join(_DRAW.choices(WORDS, k=_DRAW.randint(least, most)))


def _here(number: int) -> Origin:
    return Origin("x", number + 1)


def _turn(role: Any, least: int = 1, most: int = 6) -> tuple[Message, ...]:
    return (Message(role, _text(least, most)),)


ROWS = range(NUM_ROWS)
PREFERENCES = [Preference(_turn("user"), _turn("assistant"), _turn("assistant"), _here(n), float(n % 3)) for n in ROWS]
PAIRS = [Completion(_text(1, 9), _text(1, 6), _here(n)) for n in ROWS]
CASES: dict[str, Case] = {
    "causal_lm": Case("llama", [Text(_text(2, 12), _here(n)) for n in ROWS]),
    "classify": Case("bert", [Labelled(_text(1, 9), "no yes".split()[n % 2], _here(n)) for n in ROWS], labels=("no", "yes")),
    "dpo": Case("llama", PREFERENCES, {"beta": 0.3}),
    "grade": Case(
        "llama",
        [
            Graded(_turn("user"), _turn("assistant"), (("tone", float(n % 5)), ("sense", None if n % 3 else 10.0 * n)), _here(n))
            for n in ROWS
        ],
        labels=("tone", "sense"),
        grades=((2.0, 1.5), (30.0, 20.0)),
    ),
    "grpo": Case("llama", PAIRS, {"num_answers": 3, "passes": 2, "beta": 0.3, "clip": 0.05}),
    "kto": Case("llama", [Unpaired(_turn("user"), _turn("assistant"), n % 3 > 0, _here(n)) for n in ROWS], {"beta": 0.3}),
    "masked_lm": Case("masked", [Text(_text(3, 12), _here(n)) for n in ROWS], {"mask_share": 0.4}),
    "multi_label": Case(
        "bert", [MultiLabelled(_text(1, 9), tuple("abc"[: n % 4]), _here(n)) for n in ROWS], labels=("a", "b", "c")
    ),
    "orpo": Case("llama", PREFERENCES, {"weight": 0.5}),
    "ppo": Case("llama", PAIRS, {"num_answers": 2, "clip": 0.05, "entropy_weight": 0.1}),
    "regress": Case("bert", [Rated(_text(1, 9), 10.0 + n, _here(n)) for n in ROWS], numbers=(13.0, 2.0)),
    "reward": Case(
        "llama",
        [
            Ranked(_turn("user"), (_text(1, 4), _text(2, 6), _text(1, 5)), (1, 1, 3), _here(n)) if n % 2 else PREFERENCES[n]
            for n in ROWS
        ],
    ),
    "sft": Case("llama", [*PAIRS[:4], *(Chat((*_turn("user"), *_turn("assistant")), _here(n)) for n in range(4, NUM_ROWS))]),
    "span_qa": Case("bert", [SpanQuestion("who", f"the old {_text(1, 9)} ran", ((4, "old"),), _here(n)) for n in ROWS]),
    "token_classify": Case(
        "bert", [Tagged(tuple(words), tuple("XO"[len(w) % 2] for w in words), _here(n)) for n in ROWS for words in [_text(1, 9).split()]],
        labels=("O", "X"),
    ),
}  # fmt: skip
"""Objective -> what it is held to its promises on: an objective that is added needs an entry."""

every_objective = pytest.mark.parametrize("name", [name for name in registry.names("objective") if name not in UNTRAINED])
every_method = pytest.mark.parametrize("method", METHODS)


def _tokenizer(family: str) -> Any:
    """A token a word; of an encoder with the special tokens of BERT."""
    names = ["[PAD]", "[UNK]", "</s>", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate([*names, *WORDS])}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if family == "llama":
        found = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", **special)
        found.chat_template = "{% for m in messages %}{{ m['content'] }} </s> {% endfor %}"
        return found
    made.post_processor = processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))
    special |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def _model(family: str) -> tuple[nn.Module, ModelFacts]:
    """In float64, without dropout."""
    model = make("llama" if family == "llama" else "bert", torch.float64, scale=2.0)
    if family == "masked":
        torch.manual_seed(0)
        masked = transformers.BertForMaskedLM(model.config).double().eval()
        masked.bert.load_state_dict(model.state_dict(), strict=False)
        return without_dropout(masked), replace(facts_of("bert", masked), has_lm_head=True)
    return without_dropout(model), facts_of(family, model)


@dataclass(frozen=True)
class Built:
    """An objective's rows, and a model under a method that is no longer what it was before training."""

    objective: Objective
    forward: PackedForward
    trained: dict[str, nn.Parameter]
    rows: list[Row]
    plain: nn.Module
    """The same trunk before the engine put its own layers in place; of a quantized base with its weights written out."""


@cache
def built(name: str, method: str) -> Built:
    """Nothing that a test does may change it."""
    case = CASES.get(name)
    if case is None:
        pytest.fail(f"the objective {name} has no example here: add one to CASES of tests/objective/test_conformance.py")
    recipe: dict[str, Any] = {"model": "x", "method": METHODS[method]}
    stand_in(recipe)
    trunk, facts = _model(case.family)
    form = recipe["model"]["quantization"] if isinstance(recipe["model"], dict) else None
    if form is not None:
        assert quantize_weights(trunk, form) >= 12
    objective: Objective = registry.create("objective", name, **case.options)
    applied = registry.create("method", recipe["method"]["name"], **{k: v for k, v in recipe["method"].items() if k != "name"})
    torch.manual_seed(1)
    groups = applied.apply(trunk)
    for p in trunk.parameters():  # an adapter may be made in float32; what holds a packed weight is none of them, and stays
        p.data = p.data.double()
    made = TextEncoder(_tokenizer(case.family), facts, case.labels, numbers=case.numbers, grades=case.grades)
    heads = {
        head: Head(head, facts.hidden_size, spec.outputs, pooling="last" if facts.is_causal else "mean", shift=spec.shift, scale=spec.scale)
        for head, spec in objective.heads(made).items()
    }
    forward = PackedForward(trunk, {head: made.double() for head, made in heads.items()}, facts, probe(trunk, facts))
    forward.use_virtual_tokens(applied.virtual_tokens)
    draw = np.random.default_rng(0)
    rows = [objective.draw(row, draw) for example in case.examples for row in objective.encode(example, made)]
    assert len(rows) == NUM_ROWS
    if isinstance(objective, OnlineObjective):
        rows = _rolled_out(objective, forward, rows)
    elif getattr(objective, "needs_reference", ""):
        found = score_answers(forward, rows, micro_batch_tokens=64)
        rows = [replace(row, values={**row.values, "reference": one}) for row, one in zip(rows, found, strict=True)]
        forward.keep_reference()
    learning = {id(p) for group in groups for p in group.params} | {id(p) for p in forward.heads.parameters()}
    trained = {name: p for name, p in forward.named_parameters() if id(p) in learning}
    with torch.no_grad():
        for p in trained.values():
            p.add_(0.05 * torch.randn_like(p))
    plain = _written_out(trunk)
    assert (forward.use_fused_layers() > 0) == (recipe["method"]["name"] == "lora")
    assert forward.paths.attention == "packed"
    return Built(objective, forward, trained, rows, plain)


def _rolled_out(objective: OnlineObjective, forward: PackedForward, prompts: Sequence[Row]) -> list[Row]:
    """Prompts with answers, as if a policy had written them that is a little off the reference, and what each was rewarded."""
    draw, num = np.random.default_rng(0), objective.num_answers
    answers = [[[*draw.integers(6, 6 + len(WORDS), draw.integers(1, 6)).tolist(), 2] for _ in range(num)] for _ in prompts]
    rows = [answered(prompt, texts, forward.facts) for prompt, texts in zip(prompts, answers, strict=True)]
    measured = measure(forward, rows, micro_batch_tokens=64, head=objective.value_head)
    policy = [one.logprobs_N for one in measured]
    reference = [one + 0.3 * torch.from_numpy(draw.standard_normal(len(one))).float() for one in policy]
    values = [one.values_N for one in measured if one.values_N is not None]
    rewards = draw.standard_normal((len(rows), num)).tolist()
    ends = [[True] * num for _ in rows]
    return objective.learn_from(Rollout(rows, rewards, policy, reference, values, {"luck": rewards}, ends))


def _written_out(trunk: nn.Module) -> nn.Module:
    """A copy in which every quantized layer is a plain one whose weight is a matrix."""
    plain = copy.deepcopy(trunk)
    for path, layer in [(path, layer) for path, layer in plain.named_modules() if isinstance(layer, QuantizedLayer)]:
        weight_OI = matrix_of(layer).detach().clone()
        linear = nn.Linear(weight_OI.shape[1], weight_OI.shape[0], bias=layer.bias is not None, dtype=torch.float64).requires_grad_(False)
        linear.weight.data = weight_OI
        if layer.bias is not None:
            linear.bias = layer.bias  # type: ignore[assignment]
        parent, _, name = path.rpartition(".")
        setattr(plain.get_submodule(parent), name, linear)
    assert not any(isinstance(layer, QuantizedLayer) for layer in plain.modules())
    return plain


class _Watched(torch.optim.SGD):
    """Steps nowhere, and keeps the gradients."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.seen = [None if p.grad is None else p.grad.clone() for group in self.param_groups for p in group["params"]]


PLAN = TrainingPlan(num_steps=1, steps_per_epoch=1, learning_rate=1.0, schedule="constant", num_warmup_steps=0, max_grad_norm=None)


def step_of(case: Built, sizes: Sequence[int]) -> tuple[Any, dict[str, Tensor]]:
    """What the engine's loop says of one step over all rows, in micro-batches of those sizes, and its gradients."""
    rows, batches = iter(case.rows), list[Batch]()
    for size in sizes:
        batches.append(collate([next(rows) for _ in range(size)], case.forward.facts))
    optimizer = _Watched([{"params": list(case.trained.values()), "lr_scale": 1.0, "from_epoch": 0.0}], lr=1.0)
    (step,) = train(case.forward, case.objective, [batches], PLAN, TrainingState(optimizer))
    return step, {name: grad for name, grad in zip(case.trained, optimizer.seen, strict=True) if grad is not None}


def assert_alike(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = TOLERANCE) -> None:
    """Gradients, each against the size of its own largest number, or a thousandth of that of all."""
    assert found.keys() == expected.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 0
    for name, gradient in expected.items():
        scale = max(float(gradient.abs().max()), 1e-3 * largest)
        assert float((found[name] - gradient).abs().max()) <= tolerance * scale, name


@every_method
@every_objective
def test_a_step_does_not_depend_on_how_it_is_cut(name: str, method: str) -> None:
    case = built(name, method)
    whole, expected = step_of(case, [NUM_ROWS])
    assert math.isfinite(whole.loss)
    assert whole.loss != 0
    for sizes in ([1] * NUM_ROWS, [3, 1, 4]):
        step, found = step_of(case, sizes)
        assert step.loss == pytest.approx(whole.loss, rel=TOLERANCE)
        assert step.metrics == pytest.approx(whole.metrics, rel=TOLERANCE, abs=TOLERANCE)
        assert step.num_targets == whole.num_targets
        assert_alike(found, expected)


@every_method
@every_objective
def test_what_a_row_costs_does_not_depend_on_the_rows_beside_it(name: str, method: str) -> None:
    case = built(name, method)
    alone, pairs = [[row] for row in ROWS], [[row, (row + shift) % NUM_ROWS] for shift in (1, 3) for row in ROWS]
    packed = [*alone, *pairs, [*reversed(ROWS)]]
    batches = [collate([case.rows[row] for row in rows], case.forward.facts) for rows in packed]
    with torch.no_grad():
        case.objective.prepare(case.forward, batches)  # what is of the step is of one step for all of them
        costs = [{unit: float(value) for unit, value in case.objective.loss(case.forward, batch).sums.items()} for batch in batches]
    assert len({tuple(one.values()) for one in costs[:NUM_ROWS]}) > 1
    for rows, found in zip(packed[NUM_ROWS:], costs[NUM_ROWS:], strict=True):
        for unit, value in found.items():
            assert value == pytest.approx(sum(costs[row][unit] for row in rows), rel=TOLERANCE, abs=TOLERANCE), rows


@pytest.mark.parametrize("method", [method for method in METHODS if method != "prompt"])
@every_objective
def test_loss_and_gradient_are_those_of_plain_layers_and_autograd(name: str, method: str) -> None:
    case = built(name, method)
    assert bool(case.forward.quantized_layers) == (method == "qlora")
    step, found = step_of(case, [5, 3])
    batch = collate(case.rows, case.forward.facts)
    case.objective.prepare(case.forward, [batch])
    forward: Any = PlainForward(case.plain, dict(case.forward.heads.items()), case.forward.facts)  # type: ignore[arg-type]
    sums = case.objective.loss(forward, batch).sums
    loss = torch.stack([value / batch.counts[unit] for unit, value in sums.items()]).sum()
    named = {f"trunk.{at}": p for at, p in case.plain.named_parameters()} | dict(case.trained.items() & _of_heads(case).items())
    parameters = {at: named[at] for at in case.trained}
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    expected = {at: gradient for at, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    assert step.loss == pytest.approx(float(loss.detach()), rel=TOLERANCE)
    assert_alike(found, expected, 10 * TOLERANCE)


def _of_heads(case: Built) -> dict[str, nn.Parameter]:
    return {f"heads.{at}": p for at, p in case.forward.heads.named_parameters()}


def test_an_objective_without_an_example_is_named_and_no_example_is_of_none() -> None:
    with pytest.raises(pytest.fail.Exception, match="the objective another has no example here"):
        built("another", "full")
    assert set(CASES) <= set(registry.names("objective"))
