"""Layers below the first that trains run once a row; what is learned above them is what would have been learned."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from families import facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core import registry
from tunesmith.core.batch import Batch, collate
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import Row
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.kept import keep_activations
from tunesmith.engine.layers import num_frozen_layers
from tunesmith.engine.probe import probe
from tunesmith.engine.row_store import RowStore
from tunesmith.model.heads import Head

UPPER = r".*\.1\..*(_proj|c_attn|c_fc|query|value|dense)"
"""Linear layers of the second of two layers."""
LENGTHS = (9, 14, 5, 9, 12)


def _prepared(name: str, targets: str = UPPER, *, dropout: float = 0.0) -> PackedForward:
    model = make(name, torch.float64)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return _adapted(model, name, targets)


def _adapted(model: nn.Module, name: str, targets: str) -> PackedForward:
    facts = facts_of(name, model)
    paths = probe(model, facts)
    torch.manual_seed(0)
    registry.create("method", "lora", r=4, target_modules=targets).apply(model)
    for path, p in model.named_parameters():
        if "lora_B" in path:
            nn.init.normal_(p, std=0.1)
    model.to(torch.float64)
    heads = {} if facts.has_lm_head else {"label": Head("label", facts.hidden_size, 3, pooling="mean").double()}
    forward = PackedForward(model, heads, facts, paths)
    forward.use_fused_layers()
    return forward


def _batch(forward: PackedForward, rows: list[Row]) -> Batch:
    return collate(rows, forward.facts)


def _rows(forward: PackedForward, seed: int = 0) -> list[Row]:
    return random_rows(LENGTHS, forward.facts, seed=seed)


def _loss(forward: PackedForward, batch: Batch) -> Tensor:
    return forward.nll(batch) if forward.facts.has_lm_head else forward.head("label", batch).square().sum()


def _two_epochs(forward: PackedForward) -> list[Tensor]:
    """Losses and gradients of steps over differently cut epochs, with updates between them and a pass without gradient after each."""
    rows, seen = _rows(forward), list[Tensor]()
    parameters = [p for p in forward.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-3)
    for order in ((0, 1), (2, 3, 4)), ((4, 2, 0), (1, 3)):
        forward.train()
        for group in order:
            loss = _loss(forward, _batch(forward, [rows[i] for i in group]))
            loss.backward()
            seen += [loss.detach(), *(p.grad.clone() for p in parameters if p.grad is not None)]
            optimizer.step()
            optimizer.zero_grad()
        forward.eval()
        with torch.no_grad():
            seen.append(_loss(forward, _batch(forward, rows)))
    return seen


def _tokens_through(layer: nn.Module) -> list[int]:
    """Grows by the tokens of each call of the layer."""
    found = list[int]()
    layer.register_forward_hook(lambda _module, inputs, _output: found.append(inputs[0].shape[1]))
    return found


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "qwen3", "gemma2", "mistral", "modernbert"])
def test_two_epochs_equal_the_plain_ones_and_run_the_layers_below_once_a_row(name: str) -> None:
    targets = r".*\.1\.(mlp|attn)\.W.*" if name == "modernbert" else UPPER
    plain, forward = _prepared(name, targets), _prepared(name, targets)
    assert keep_activations(forward, _rows(forward, seed=7), RowStore()).reason == ""
    below = _tokens_through(repeated_layers(forward.trunk)[0])
    expected, found = _two_epochs(plain), _two_epochs(forward)
    assert sum(below) == sum(LENGTHS)
    assert len(found) == len(expected) > 2 * 2
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)


def _deep() -> PackedForward:
    config = transformers.LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=5, num_attention_heads=4, max_position_embeddings=64,
        pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    return _adapted(transformers.LlamaForCausalLM(config).double(), "llama", r".*layers\.[34]\..*_proj")


def test_all_layers_below_stand_still_and_those_above_run() -> None:
    plain, forward = _deep(), _deep()
    assert keep_activations(forward, _rows(forward), RowStore()).reason == ""
    ran = [_tokens_through(layer) for layer in repeated_layers(forward.trunk)]
    for ours, theirs in zip(_two_epochs(forward), _two_epochs(plain), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)
    total = sum(LENGTHS)
    assert [sum(tokens) for tokens in ran] == [total, total, total, 4 * total, 4 * total]


def test_where_no_layer_trains_a_final_norm_learns_from_what_leaves_the_last() -> None:
    plain, forward = _deep(), _deep()
    for one in (plain, forward):
        one.trunk.requires_grad_(False)
        one.trunk.model.norm.requires_grad_(True)  # type: ignore[union-attr]
    assert keep_activations(forward, _rows(forward), RowStore()).reason == ""
    for ours, theirs in zip(_two_epochs(forward), _two_epochs(plain), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("in_file", [False, True])
def test_the_bounds_hold_and_the_rest_is_computed_each_time(in_file: bool, tmp_path: Path) -> None:
    plain, forward = _prepared("llama"), _prepared("llama")
    a_token = forward.facts.hidden_size * 8
    store = RowStore(max_bytes=15 * a_token, folder=tmp_path if in_file else None, max_file_bytes=15 * a_token if in_file else 0)
    assert keep_activations(forward, _rows(forward), store).reason == ""
    below = _tokens_through(repeated_layers(forward.trunk)[0])
    for ours, theirs in zip(_two_epochs(forward), _two_epochs(plain), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)
    assert store.num_bytes <= store.max_bytes
    assert store.num_file_bytes <= store.max_file_bytes
    kept = sum(tokens for tokens in (store.num_bytes // a_token, store.num_file_bytes // a_token))
    assert kept == (28 if in_file else 14)  # 9 + 5 tokens in memory, 14 in the file
    assert sum(below) == kept + 4 * (sum(LENGTHS) - kept)


def test_other_tokens_are_other_rows_and_changed_weights_forget_all() -> None:
    forward = _prepared("llama")
    assert keep_activations(forward, _rows(forward), RowStore()).reason == ""
    below = _tokens_through(repeated_layers(forward.trunk)[0])
    forward.eval()

    def compared(seed: int) -> None:
        batch = _batch(forward, _rows(forward, seed=seed))
        with torch.no_grad():
            found, kept = forward.hidden(batch), forward.kept
            forward.kept = None
            torch.testing.assert_close(found, forward.hidden(batch))
            forward.kept = kept

    for seed in (0, 1, 0):
        compared(seed)
    total = sum(LENGTHS)
    assert sum(below) == (2 + 3) * total  # two sets of rows once, and three plain passes
    with torch.no_grad():
        forward.trunk.get_input_embeddings().weight.mul_(1.5)  # type: ignore[operator]
    compared(0)
    assert sum(below) == (2 + 3 + 2) * total


def test_what_trains_after_the_layers_gets_its_gradient_under_autocast_too() -> None:
    """Under autocast torch remembers casted weights, those that were cast without a gradient too."""
    config = transformers.OPTConfig(
        vocab_size=97, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
        word_embed_proj_dim=16, dropout=0.0, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    forward = _adapted(transformers.OPTForCausalLM(config), "opt", r".*\.1\..*_proj")
    forward.float()._autocast = torch.bfloat16
    projection = forward.trunk.model.decoder.project_out  # type: ignore[union-attr]
    projection.requires_grad_(True)
    batch = _batch(forward, _rows(forward))
    assert keep_activations(forward, _rows(forward), RowStore()).reason == ""
    for _ in range(2):
        forward.train().nll(batch).backward()
        assert projection.weight.grad is not None
        projection.weight.grad = None


def _shares(layers: Any) -> None:
    """Let the second layer read something that the first left behind."""
    first, second = layers[0].forward, layers[1].forward
    left: list[Tensor] = []

    def leaves(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        left[:] = [hidden.mean()]
        return first(hidden, *args, **kwargs)

    def reads(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        return second(hidden, *args, **kwargs) + (left.pop() if left else 0.0)

    layers[0].forward, layers[1].forward = leaves, reads


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bloom", "padded"), ("albert", "lowest layer trains"), ("all layers", "lowest layer trains"), ("dropout", "drop out"),
     ("embeddings", "below its layers trains"), ("shares", "differ"), ("tuples", "tuple"), ("layerdrop", "leaves out layers")],
)  # fmt: skip
def test_a_model_that_cannot_start_above_runs_whole(name: str, reason: str) -> None:
    family = {"bloom": "bloom", "albert": "albert", "dropout": "gpt2"}.get(name, "llama")
    targets = {"bloom": ".*query_key_value", "albert": ".*query", "all layers": "all-linear"}.get(name, UPPER)
    forward = _prepared(family, targets, dropout=0.1 if name == "dropout" else 0.0)
    layers: Any = repeated_layers(forward.trunk)
    if name == "embeddings":
        forward.trunk.get_input_embeddings().requires_grad_(True)  # type: ignore[operator]
    elif name == "shares":
        _shares(layers)
    elif name == "tuples":
        for layer in layers:
            layer.register_forward_hook(lambda _module, _inputs, output: (output, None))
    elif name == "layerdrop":
        forward.trunk.config.layerdrop = 0.1  # type: ignore[union-attr]
    assert reason in keep_activations(forward, _rows(forward), RowStore()).reason
    assert forward.kept is None
    if name != "tuples":
        assert torch.isfinite(_loss(forward, _batch(forward, _rows(forward))))


def test_frozen_layers_are_those_below_the_first_that_trains() -> None:
    layers = [nn.Linear(2, 2).requires_grad_(trains) for trains in (False, False, True, False)]
    assert num_frozen_layers(layers) == 2
    assert num_frozen_layers(layers[:2]) == 2
    assert num_frozen_layers(layers[2:]) == 0
