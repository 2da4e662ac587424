"""The losses and gradients of judged answers, and of own ones, against TRL's trainers, on the same tensors and the same tiny model."""

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trl
from families import facts_of, make
from judged_answers import CHOSEN, HERE, PROMPTS, REJECTED, row_of
from plain import without_dropout
from torch import Tensor, nn

from tunesmith.core.batch import collate
from tunesmith.core.rollout import Rollout
from tunesmith.core.types import Row, Segment
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.engine.rollouts import answered, measure
from tunesmith.engine.scoring import score_answers
from tunesmith.objective.dpo import DPO
from tunesmith.objective.grpo import GRPO
from tunesmith.objective.kto import KTO
from tunesmith.objective.orpo import log_odds

Tokens = Sequence[Sequence[int]]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({str(number): number for number in range(97)}, unk_token="1"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="0", unk_token="1", eos_token="2")


def _spelled(tokens: Sequence[int]) -> str:
    return " " + " ".join(map(str, tokens))


def _padded(prompts: Tokens, answers: Tokens) -> dict[str, Tensor]:
    """The sequences on the left, as TRL's collators lay them out, and where their answers stand."""
    wholes = [(*prompt, *answer) for prompt, answer in zip(prompts, answers, strict=True)]
    shape = (len(wholes), max(map(len, wholes)))
    ids, mask, own = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    for row, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
        ids[row, : len(whole)] = torch.tensor(whole)
        mask[row, : len(whole)] = 1
        own[row, len(prompt) : len(whole)] = 1
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": own}


def _moved(model: nn.Module) -> None:
    """Another model than the reference."""
    torch.manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.02 * torch.randn_like(p))


def _ours(objective: Any, rows: list[Row]) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean loss of a model that has moved from its reference, and its gradients."""
    model = without_dropout(make("llama"))
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    found = score_answers(forward, rows, micro_batch_tokens=64)
    rows = [
        Row(row.segments, HERE, row.targets, row.answers, {**row.values, "reference": one}) for row, one in zip(rows, found, strict=True)
    ]
    forward.keep_reference()
    _moved(model)
    batch = collate(rows, facts)
    with torch.no_grad():
        objective.prepare(forward, [batch])
    loss = objective.loss(forward, batch).sums["row"] / len(rows)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def _theirs(trainer: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    trainer.model.train()
    _moved(trainer.model)
    loss = trainer._compute_loss(trainer.model, inputs, False)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}


def _same(ours: tuple[Tensor, dict[str, Tensor]], theirs: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-4)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in theirs[1].items():
        torch.testing.assert_close(
            ours[1][name], gradient, atol=2e-4 * float(gradient.abs().max()) + 1e-6, rtol=2e-3, msg=lambda m, n=name: f"{n}: {m}"
        )


def _options(folder: Path) -> dict[str, Any]:
    return {"output_dir": str(folder), "report_to": "none", "use_cpu": True, "bf16": False, "beta": 0.3, "gradient_checkpointing": False}


@pytest.mark.parametrize(("form", "smoothing"), [("sigmoid", 0.0), ("robust", 0.2), ("ipo", 0.0), ("hinge", 0.0)])
def test_dpo_is_trls(form: Any, smoothing: float, tmp_path: Path) -> None:
    from datasets import Dataset

    rows = [row_of(prompt, answers) for prompt, answers in zip(PROMPTS, zip(CHOSEN, REJECTED, strict=True), strict=True)]
    ours = _ours(DPO(beta=0.3, loss_type=form, label_smoothing=smoothing), rows)
    model = without_dropout(make("llama"))
    data = Dataset.from_list(
        [
            {"prompt": _spelled(p), "chosen": _spelled(c[:-1]), "rejected": _spelled(r[:-1])}
            for p, c, r in zip(PROMPTS, CHOSEN, REJECTED, strict=True)
        ]
    )
    settings = trl.DPOConfig(**_options(tmp_path), loss_type=[form], label_smoothing=smoothing)
    trainer = trl.DPOTrainer(model, ref_model=copy.deepcopy(model), args=settings, train_dataset=data, processing_class=_tokenizer())
    _same(ours, _theirs(trainer, _padded((*PROMPTS, *PROMPTS), (*CHOSEN, *REJECTED))))


def test_kto_is_trls(tmp_path: Path) -> None:
    from datasets import Dataset

    answers, liked = (CHOSEN[0], REJECTED[1], CHOSEN[2], REJECTED[3]), (True, False, True, False)
    rows = [row_of(prompt, [answer], liked=(float(is_liked),)) for prompt, answer, is_liked in zip(PROMPTS, answers, liked, strict=True)]
    ours = _ours(KTO(beta=0.3, desirable_weight=1.5, undesirable_weight=0.7), rows)
    model = without_dropout(make("llama"))
    data = Dataset.from_list(
        [{"prompt": _spelled(p), "completion": _spelled(a[:-1]), "label": one} for p, a, one in zip(PROMPTS, answers, liked, strict=True)]
    )
    settings = trl.KTOConfig(**_options(tmp_path), desirable_weight=1.5, undesirable_weight=0.7, per_device_train_batch_size=4)
    trainer = trl.KTOTrainer(model, ref_model=copy.deepcopy(model), args=settings, train_dataset=data, processing_class=_tokenizer())
    crossed = _padded(PROMPTS, (*answers[1:], answers[0]))  # each prompt with the next one's answer: TRL takes the one's before
    inputs = _padded(PROMPTS, answers) | {f"KL_{name}": value for name, value in crossed.items()} | {"label": torch.tensor(liked)}
    _same(ours, _theirs(trainer, inputs))


def test_the_odds_ratio_is_trls() -> None:
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    means = torch.tensor(list(itertools.product([-0.01, -0.7, -5.0], repeat=2)))
    chosen, rejected = means.unbind(1)

    class Known:
        beta = 1.0
        accelerator = type("Accelerator", (), {"device": torch.device("cpu")})

    losses, *_ = ORPOTrainer.odds_ratio_loss(Known, chosen, rejected)
    torch.testing.assert_close(torch.nn.functional.logsigmoid(log_odds(chosen) - log_odds(rejected)), losses, atol=1e-5, rtol=1e-5)


WRITTEN = (((20, 21, 2), (22, 2), (40, 41, 42, 43)), ((23, 24, 25, 26, 2), (27, 2), (2,)))
"""Three answers that a policy wrote to each of two prompts, one of which did not end."""
REWARDS = ((0.3, 1.0, -0.5), (0.0, 2.0, 0.1))


def _lines(of_rows: Sequence[Tensor], rows: Sequence[Row]) -> Tensor:
    """Numbers of targets as TRL lays them out: an answer a line, padded on the right."""
    lines = list[Tensor]()
    for numbers_N, row in zip(of_rows, rows, strict=True):
        owners_N = torch.tensor(row.targets.answers)
        lines += [numbers_N[owners_N == answer] for answer in range(len(row.answers))]
    return nn.utils.rnn.pad_sequence(lines, batch_first=True)


def _grpo_of_trl(objective: GRPO, learned: Sequence[Row], rollout: Rollout, folder: Path) -> tuple[Tensor, dict[str, Tensor]]:
    from datasets import Dataset

    settings = trl.GRPOConfig(
        **_options(folder) | {"beta": 0.0},  # or it would fetch the reference by the model's name, which this one has not
        epsilon=objective.clip, epsilon_high=objective.clip_high, loss_type=objective.loss_type, max_completion_length=objective.max_new_tokens,
        num_generations=3, per_device_train_batch_size=6, gradient_accumulation_steps=1, steps_per_generation=1,
        use_bias_correction_kl=False,  # the paper's equation 4 has no ratio before the divergence
    )  # fmt: skip
    trainer = trl.GRPOTrainer(
        without_dropout(make("llama")), reward_funcs=lambda completions, **_: [0.0] * len(completions), args=settings,
        train_dataset=Dataset.from_list([{"prompt": " 5 6"}] * 6), processing_class=_tokenizer(),
    )  # fmt: skip
    trainer.beta, trainer.current_gradient_accumulation_steps = objective.beta, 1
    trainer.model.train()
    _moved(trainer.model)
    prompts, answers = [prompt for prompt in PROMPTS[:2] for _ in range(3)], [answer for group in WRITTEN for answer in group]
    width, longest = max(map(len, prompts)), max(map(len, answers))
    left = torch.tensor([[0] * (width - len(one)) + list(one) for one in prompts])
    inputs = {
        "prompt_ids": left,
        "prompt_mask": (left > 0).long(),
        "completion_ids": torch.tensor([list(one) + [0] * (longest - len(one)) for one in answers]),
        "completion_mask": torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in answers]),
        "advantages": torch.tensor([one for row in learned for one in row.values["advantage"]]),
        "old_per_token_logps": _lines(rollout.policy, rollout.rows),
        "ref_per_token_logps": _lines(rollout.reference, rollout.rows),
        "num_items_in_batch": torch.tensor(sum(map(len, answers))),
    }
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("form", ["grpo", "dr_grpo", "dapo"])
def test_grpo_is_trls(form: Any, tmp_path: Path) -> None:
    model = without_dropout(make("llama"))
    facts = facts_of("llama", model)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    asked = [Row((Segment(prompt),), HERE, answers=()) for prompt in PROMPTS[:2]]
    rows = [answered(prompt, answers, facts) for prompt, answers in zip(asked, WRITTEN, strict=True)]
    policy = [one.logprobs_N for one in measure(forward, rows, micro_batch_tokens=64)]
    torch.manual_seed(4)
    reference = [one + 0.2 * torch.randn_like(one) for one in policy]
    rollout = Rollout(rows, REWARDS, policy, reference, [], {}, [[True, True, False], [True] * 3])
    objective = GRPO(num_answers=3, beta=0.3, clip=0.05, clip_high=0.1, passes=2, loss_type=form, max_new_tokens=6)
    learned = objective.learn_from(rollout)
    deviations = [1.0 if form == "dr_grpo" else np.std(one, ddof=1) + 1e-4 for one in REWARDS]  # as TRL makes its advantages
    expected = [(np.array(one) - np.mean(one)) / deviation for one, deviation in zip(REWARDS, deviations, strict=True)]
    np.testing.assert_allclose([row.values["advantage"] for row in learned], expected)
    _moved(model)
    batch = collate(learned, facts)
    ((unit, total),) = objective.loss(forward, batch).sums.items()
    loss = total / batch.counts[unit]  # as the engine's loop divides a step
    loss.backward()
    ours = loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    theirs = _grpo_of_trl(objective, learned, rollout, tmp_path)
    assert float(theirs[0]) != 0
    _same(ours, theirs)
