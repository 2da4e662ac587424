import json
from pathlib import Path

import pytest
import torch
import transformers
from torch.nn import functional as F

from tunesmith.core.errors import RunError
from tunesmith.model.heads import Head, load_heads, save_heads, write_label_map

BOUNDS = (0, 3, 4, 9)


def _states(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(9, 8, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("pooling", ["first", "mean", "last", "concat"])
def test_each_answer_is_read_from_its_own_segment(pooling: str) -> None:
    head = Head("label", 8, 3, pooling=pooling)  # type: ignore[arg-type]
    x = _states()
    answers = head(x, BOUNDS, torch.tensor([2, 0, 2]))
    for answer, segment in zip(answers, (2, 0, 2), strict=True):
        part = x[BOUNDS[segment] : BOUNDS[segment + 1]]
        whole = torch.cat([part[-1], part.amax(0), part.mean(0)])
        vector = {"first": part[0], "mean": part.mean(0), "last": part[-1], "concat": whole}[pooling]
        torch.testing.assert_close(answer, F.linear(vector, head.layers[0].weight, head.layers[0].bias))  # type: ignore[arg-type]


def test_another_segment_changes_nothing() -> None:
    head, x = Head("label", 8, 3), _states()
    before = head(x, BOUNDS, torch.tensor([0]))
    x[3:] += 100
    torch.testing.assert_close(head(x, BOUNDS, torch.tensor([0])), before, rtol=0, atol=0)


def test_the_mean_of_low_precision_states_is_taken_in_float32() -> None:
    head = Head("label", 8, 3)
    x = torch.full((4097, 8), 1.0, dtype=torch.bfloat16)
    expected = F.linear(torch.ones(1, 8), head.layers[0].weight, head.layers[0].bias)  # type: ignore[arg-type]
    torch.testing.assert_close(head(x, (0, 4097), torch.tensor([0])), expected)  # a bfloat16 sum stops at 256


def test_gradients_reach_the_states_as_the_mean_says() -> None:
    head, x = Head("label", 8, 1), _states().requires_grad_()
    head(x, BOUNDS, torch.tensor([2])).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad[4:], head.layers[0].weight.expand(5, 8) / 5)  # type: ignore[operator]
    assert not x.grad[:4].any()


def test_positions_are_read_one_by_one() -> None:
    head, x = Head("token", 8, 3), _states()
    torch.testing.assert_close(head.at_positions(x, torch.tensor([4, 1])), head.read(x[[4, 1]]))


def test_hidden_layers_are_what_the_formula_says() -> None:
    head, x = Head("label", 8, 3, num_layers=2, pooling="first"), _states()
    first, second = head.layers
    expected = second(torch.tanh(first(x[:1])))
    torch.testing.assert_close(head(x, (0, 9), torch.tensor([0])), expected)
    assert first.out_features == 8


def test_a_new_head_is_small_and_seeded() -> None:
    torch.manual_seed(3)
    one = Head("label", 200, 100)
    torch.manual_seed(3)
    two = Head("label", 200, 100)
    weight = one.layers[0].weight
    assert isinstance(weight, torch.Tensor)
    assert torch.equal(weight, two.layers[0].weight)  # type: ignore[arg-type]
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not one.layers[0].bias.any()  # type: ignore[union-attr,operator]


def test_dropout_rests_in_evaluation() -> None:
    head, x = Head("label", 8, 3, dropout=0.5), _states()
    head.train()
    assert not torch.equal(head(x, BOUNDS, torch.tensor([0])), head(x, BOUNDS, torch.tensor([0])))
    head.eval()
    assert torch.equal(head(x, BOUNDS, torch.tensor([0])), head(x, BOUNDS, torch.tensor([0])))


def test_saved_and_loaded_gives_the_same_outputs_and_labels(tmp_path: Path) -> None:
    heads = {"label": Head("label", 8, 2, num_layers=2, pooling="last", activation="gelu"), "value": Head("value", 8, 1)}
    save_heads(heads, ["bad", "good"], tmp_path / "heads.safetensors", tmp_path / "heads.json")
    loaded, labels = load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json")
    assert labels == ("bad", "good")
    for name, head in heads.items():
        head.eval()
        assert torch.equal(loaded[name](_states(), BOUNDS, torch.tensor([1, 2])), head(_states(), BOUNDS, torch.tensor([1, 2])))
    written = json.loads((tmp_path / "heads.json").read_text())
    assert written["id2label"] == {"0": "bad", "1": "good"}
    assert written["label2id"] == {"bad": 0, "good": 1}


def test_outputs_have_a_unit_each_which_is_saved_and_may_be_changed_without_changing_what_is_said(tmp_path: Path) -> None:
    head = Head("grades", 4, 2, shift=(3.0, 50.0), scale=(0.5, 20.0))
    states = torch.randn(5, 4)
    plain = states @ head.layers[0].weight.T + head.layers[0].bias  # type: ignore[operator, union-attr]
    torch.testing.assert_close(head.read(states), plain * torch.tensor([0.5, 20.0]) + torch.tensor([3.0, 50.0]))
    save_heads({"grades": head}, ["relevance", "coherence"], tmp_path / "h.safetensors", tmp_path / "h.json")
    loaded, labels = load_heads(tmp_path / "h.safetensors", tmp_path / "h.json")
    assert labels == ("relevance", "coherence")
    assert torch.equal(loaded["grades"].read(states), head.read(states))
    for units in ({"shift": (1.0, 0.0), "scale": (2.0, 7.0)}, {}, {"shift": 2.0, "scale": 4.0}):
        other = Head("grades", 4, 2, **units)  # type: ignore[arg-type]
        other.take_over(head)
        torch.testing.assert_close(other.read(states), head.read(states), atol=1e-5, rtol=1e-5)


def test_outputs_are_kept_by_name_and_what_is_unknown_is_never_said() -> None:
    torch.manual_seed(0)
    head, states = Head("label", 4, 3, num_layers=2), torch.randn(5, 4)
    other = head.rearranged([2, None, 0])
    assert torch.equal(other.read(states)[:, [0, 2]], head.read(states)[:, [2, 0]])
    assert other.read(states).softmax(1)[:, 1].max() == 0
    begun = Head("label", 4, 3, num_layers=2)
    first = begun.layers[-1].weight[1].detach().clone()  # type: ignore[index,union-attr]
    begun.take_over(other, fresh=[1])
    assert torch.equal(begun.read(states)[:, [0, 2]], head.read(states)[:, [2, 0]])
    assert torch.equal(begun.layers[-1].weight[1], first)  # type: ignore[index,union-attr]


def test_missing_and_broken_heads_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such file"):
        load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json")
    save_heads({"label": Head("label", 8, 2)}, ["a", "b"], tmp_path / "heads.safetensors", tmp_path / "heads.json")
    (tmp_path / "heads.safetensors").write_bytes(b"{}")
    with pytest.raises(RunError, match="cannot be read") as raised:
        load_heads(tmp_path / "heads.safetensors", tmp_path / "heads.json")
    assert "\n" not in str(raised.value)


def test_labels_end_up_in_the_models_config(tmp_path: Path) -> None:
    config = transformers.BertConfig()
    write_label_map(config, ["negative", "neutral", "positive"])
    config.save_pretrained(tmp_path)
    again = transformers.BertConfig.from_pretrained(tmp_path)
    assert again.num_labels == 3
    assert again.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    assert again.label2id == {"negative": 0, "neutral": 1, "positive": 2}


@pytest.mark.parametrize(
    "wrong",
    [{"num_outputs": 0}, {"num_outputs": 2, "dropout": 1.0}, {"num_outputs": 2, "num_layers": 0}, {"num_outputs": 2, "pooling": "max"}],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Head("label", 8, **wrong)  # type: ignore[arg-type]
