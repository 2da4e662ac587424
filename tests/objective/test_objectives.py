"""What each objective scores, worked by hand."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
import torch
from families import facts_of, make

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import DataError
from tunesmith.core.types import Completion, Encoded, HeadObjective, Labelled, Origin, Output, Text
from tunesmith.objective.causal_lm import CausalLM
from tunesmith.objective.classify import Classify
from tunesmith.objective.sft import SFT

HERE = Origin("x", 1)
FACTS = facts_of("llama", make("llama"))


@dataclass
class _Encoder:
    """Hands out what the test put in."""

    encoded: list[Encoded]
    labels: tuple[str, ...] = ("bad", "good")

    def encode(self, example: object) -> Encoded:
        return self.encoded[0]

    def windows(self, example: object) -> list[Encoded]:
        return self.encoded


class _Forward:
    """A model whose head says what the test says."""

    def __init__(self, logits: list[list[float]] | None = None, nll: float = 0.0) -> None:
        self._logits, self._nll = logits, nll

    def head(self, name: str, batch: object, at: str = "answer") -> torch.Tensor:
        assert name == "label"
        return torch.tensor(self._logits)

    def nll(self, batch: object) -> torch.Tensor:
        return torch.tensor(self._nll)


def test_sft_scores_the_marked_tokens_each_from_the_position_before() -> None:
    encoded = Encoded((5, 6, 7, 8), (0, 0, 0, 0), (False, False, True, True))
    (row,) = SFT().encode(Completion("a", "b", HERE), _Encoder([encoded]))  # type: ignore[arg-type]
    assert row.segments[0].tokens == (5, 6, 7, 8)
    assert row.targets.positions == (1, 2)
    assert row.targets.labels == (7, 8)
    assert row.targets.weights == (1.0, 1.0)


def test_an_example_with_nothing_to_score_makes_no_row() -> None:
    encoded = Encoded((5, 6), (0, 0), (True, False))  # nothing predicts the first token
    assert SFT().encode(Completion("a", "b", HERE), _Encoder([encoded])) == []  # type: ignore[arg-type]


def test_an_encoder_decoder_reads_its_source() -> None:
    encoded = Encoded((0, 7), (0, 0), (False, True), source=(5, 6))
    (row,) = SFT().encode(Completion("a", "b", HERE), _Encoder([encoded]))  # type: ignore[arg-type]
    assert row.source is not None
    assert row.source.tokens == (5, 6)
    assert row.num_tokens == 4


def test_a_long_text_makes_a_row_a_window() -> None:
    windows = [Encoded((5, 6, 7), (0, 0, 0), (False, True, True)), Encoded((7, 8), (0, 0), (False, True))]
    rows = CausalLM().encode(Text("a", HERE), _Encoder(windows))  # type: ignore[arg-type]
    assert [row.targets.labels for row in rows] == [(6, 7), (8,)]


def test_classify_is_cross_entropy_summed_over_texts() -> None:
    objective = Classify()
    encoder: Any = _Encoder([Encoded((5, 6), (0, 0), (False, False))])
    rows = [row for label in ("good", "bad") for row in objective.encode(Labelled("t", label, HERE), encoder)]
    assert [row.values["label"] for row in rows] == [(1,), (0,)]
    loss = objective.loss(_Forward([[0.0, 2.0], [1.0, 0.0]]), collate(rows, FACTS))  # type: ignore[arg-type]
    by_hand = np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(-1.0))
    assert float(loss.sums["answer"]) == pytest.approx(by_hand, rel=1e-6)


def test_a_text_without_a_label_can_be_predicted() -> None:
    encoder: Any = _Encoder([Encoded((5, 6), (0, 0), (False, False))])
    (row,) = Classify().encode(Labelled("t", None, HERE), encoder)
    assert row.values == {}


def test_the_head_has_an_output_a_class_and_one_class_is_refused() -> None:
    heads = Classify(head_layers=2, head_dropout=0.3, pooling="first", head_lr_scale=3.0).heads(_Encoder([]))  # type: ignore[arg-type]
    spec = heads["label"]
    assert (spec.outputs, spec.pooling, spec.num_layers, spec.dropout, spec.lr_scale) == (2, "first", 2, 0.3, 3.0)
    with pytest.raises(DataError, match="at least two classes; found none"):
        Classify().heads(_Encoder([], labels=()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", registry.names("objective"))
def test_every_objective_keeps_the_contract(name: str) -> None:
    objective = registry.create("objective", name)
    assert objective.accepts
    assert objective.fills <= {"nll", "masked", "reward", *(field.name for field in fields(Output))}
    assert registry.create("metric", objective.headline).needs in objective.fills
    assert objective.uses_lm_head == (
        objective.fills.issubset({"text", "nll", "masked"})
        or objective.fills in ({"text", "scores"}, {"text", "liked"}, {"text", "rewarded"})
    )
    assert isinstance(objective, HeadObjective) == (not objective.uses_lm_head)
