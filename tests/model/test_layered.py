"""Networks of layers, of words and of numbers, are held to what every other model is held to."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from ways import WAYS

from tunesmith.app.placing import place
from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.core.layers import repeated_layers
from tunesmith.core.types import Method, ModelFacts, Origin, ParamGroup, Row, Segment
from tunesmith.data.row_table import RowWriter
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.model.facts import count_parts
from tunesmith.model.heads import Head
from tunesmith.model.load import LoadedModel
from tunesmith.model.networks._layers import Layer, Sequences
from tunesmith.model.networks.layered import LayeredConfig, LayeredModel
from tunesmith.model.source import SourceInfo
from tunesmith.recipe import from_mapping
from tunesmith.recipe.overlays import true_method

PLAN = TrainingPlan(num_steps=4, steps_per_epoch=4, learning_rate=2e-2, schedule="constant", num_warmup_steps=0, max_grad_norm=1.0)
RECURRENT = {
    "use_bias": True,
    "go_backwards": False,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
}
NETWORKS: dict[str, dict[str, Any]] = {
    "words": {
        "layers": [
            {"class": "Embedding", "input_dim": 97, "output_dim": 16, "mask_zero": True},
            {"class": "Bidirectional", "merge_mode": "concat", "layer": {"class": "LSTM", "units": 12, "return_sequences": True, **RECURRENT}},
            {"class": "LayerNormalization", "epsilon": 1e-3, "center": True, "scale": True},
            {"class": "GRU", "units": 24, "return_sequences": False, "reset_after": True, **RECURRENT},
            {"class": "Dense", "units": 20, "activation": "tanh", "use_bias": True},
        ]
    },
    "convolved": {
        "layers": [
            {"class": "Embedding", "input_dim": 97, "output_dim": 16, "mask_zero": False},
            {"class": "Conv1D", "filters": 20, "kernel_size": 3, "strides": 1, "padding": "valid", "dilation_rate": 2, "groups": 1, "activation": "relu", "use_bias": True},
            {"class": "GlobalMaxPooling1D"},
            {"class": "Dense", "units": 20, "activation": "tanh", "use_bias": True},
        ]
    },
    "numbers": {
        "num_columns": 6,
        "layers": [
            {"class": "Normalization", "mean": [0.5] * 6, "variance": [4.0] * 6},
            {"class": "Dense", "units": 24, "activation": "tanh", "use_bias": True},
            {"class": "Dropout", "rate": 0.5},
            {"class": "Dense", "units": 20, "activation": "tanh", "use_bias": True},
        ],
    },
}  # fmt: skip
CASES = [(name, way) for name in ("words", "numbers") for way in WAYS]
_FITTING = ("full", "gradual", "head", "layers", "lora", "rslora", "dora", "qlora", "bitfit", "peft")
_HELD = ("full", "gradual", "head", "layers", "lora", "bitfit", "prompt")
_PROMPTS = ("prompt", "p_tuning", "lstm")
WORKING = {"words": (*_FITTING, *_PROMPTS), "convolved": (*_FITTING, *_PROMPTS), "numbers": _FITTING}
"""Network -> the ways that fit it; the others are refused in one line."""


def make(name: str) -> LayeredModel:
    """A seeded network."""
    torch.manual_seed(0)
    return LayeredModel(LayeredConfig.of(**NETWORKS[name])).eval()


def facts_of(model: LayeredModel) -> ModelFacts:
    """Of a network, written down by hand."""
    config = model.config
    return ModelFacts(
        "layered", "LayeredModel", config.model_type, False, False, False, 20, len(model.layers), config.vocab_size, 60, 0, False, 0, None,
        sum(p.numel() for p in model.parameters()), {}, config.num_columns,
    )  # fmt: skip


def rows_of(facts: ModelFacts, lengths: tuple[int, ...] = (9, 14, 5, 8)) -> list[Row]:
    """Rows of random words, or of numbers, of three classes."""
    draw = torch.Generator().manual_seed(0)
    rows = []
    for number, length in enumerate(lengths):
        if facts.num_columns:
            segment = Segment((0,), vectors=(tuple(torch.randn(facts.num_columns, generator=draw).tolist()),))
        else:
            segment = Segment(tuple(torch.randint(2, 97, (length,), generator=draw).tolist()))
        rows.append(Row((segment,), Origin("rows", number + 1), values={"label": (number % 3,)}))
    return rows


def build(name: str, way: str, precision: str = "fp32") -> tuple[PackedForward, list[ParamGroup], Method]:
    """A network with the method applied, which trains none of its own weights where the precision is another, and a seeded head."""
    model = make(name)
    facts = facts_of(model)
    loaded = LoadedModel(model, cast(Any, None), facts, SourceInfo(name, "folder", Path()), "mean")
    recipe = from_mapping({"model": name, "data": "rows", "engine": {"precision": precision}}, name="test")
    paths, autocast = place(loaded, recipe, torch.device("cpu"), is_frozen=True)
    options = {key: value for key, value in WAYS[way].items() if key != "name"}
    if way == "layers":
        options["last"] = 1
    if WAYS[way]["name"] in ("lora", "qlora"):
        options["r"] = 4
    method: Method = registry.create("method", true_method(WAYS[way]["name"]), **options)
    torch.manual_seed(1)
    head = Head("label", facts.hidden_size, 3)
    groups = [*method.apply(model), ParamGroup("label", list(head.parameters()))]
    forward = PackedForward(model, {"label": head}, facts, paths, autocast)
    forward.use_virtual_tokens(method.virtual_tokens)
    return forward, groups, method


def outputs(forward: PackedForward) -> Tensor:
    """Hidden states of some rows."""
    with torch.no_grad():
        return forward.eval().hidden(collate(rows_of(forward.facts), forward.facts))


def trained(forward: PackedForward, groups: list[ParamGroup]) -> list[float]:
    """Losses of a few steps."""
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    batch = collate(rows_of(forward.facts), forward.facts)
    return [step.loss for step in train(forward, registry.create("objective", "classify"), [[batch]] * PLAN.num_steps, PLAN, state)]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_a_method_fits_or_is_refused_in_one_line(name: str, way: str) -> None:
    if way in WORKING[name]:
        build(name, way)
        return
    with pytest.raises(MethodError) as error:
        build(name, way)
    assert "\n" not in str(error.value)


FITTING = [(name, way) for name in NETWORKS for way in WORKING[name] if way in _HELD and (name != "convolved" or way == "full")]


@pytest.mark.parametrize(("name", "way"), FITTING)
def test_step_zero_is_the_base_training_lowers_the_loss_and_what_is_frozen_stays_to_the_bit(name: str, way: str) -> None:
    model = make(name)
    base = outputs(PackedForward(model, {}, facts_of(model), Paths("padded", "", "none", "")))
    forward, groups, method = build(name, way)
    assert method.starts_at_base == torch.equal(outputs(forward), base)
    before = {key: tensor.detach().clone() for key, tensor in [*forward.named_parameters(), *forward.named_buffers()]}
    moving = {id(p) for group in groups for p in group.params}
    losses = trained(forward, groups)
    assert losses[-1] < losses[0]
    for key, p in forward.named_parameters():
        assert p.requires_grad == (id(p) in moving), key
        assert p.requires_grad or torch.equal(p, before[key]), key


@pytest.mark.parametrize(("name", "way"), FITTING)
def test_what_is_saved_is_loaded_again_and_rows_together_are_each_row_alone(name: str, way: str, tmp_path: Path) -> None:
    forward, groups, method = build(name, way)
    trained(forward, groups)
    method.save(forward.trunk, tmp_path / "saved")
    again, _, other = build(name, way)
    other.load(again.trunk, tmp_path / "saved")
    assert torch.equal(outputs(again), outputs(forward))
    rows = rows_of(forward.facts)
    with torch.no_grad():
        alone = torch.cat([forward.hidden(collate([row], forward.facts)) for row in rows])
    torch.testing.assert_close(outputs(forward), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "way"), FITTING)
def test_one_micro_batch_of_four_is_four_of_one(name: str, way: str) -> None:
    found = []
    for parts in ([(0, 1, 2, 3)], [(0,), (1,), (2,), (3,)]):
        forward, groups, _ = build(name, way)
        for layer in forward.trunk.config.layers:  # type: ignore[union-attr]
            layer.update({"rate": 0.0} if "rate" in layer else {})
        for module in forward.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        rows = rows_of(forward.facts)
        batches = [collate([rows[place] for place in part], forward.facts) for part in parts]
        state = TrainingState(make_optimizer(groups, name="sgd", weight_decay=0.0))
        plan = replace(PLAN, num_steps=1, max_grad_norm=1e9)
        (step,) = train(forward, registry.create("objective", "classify"), [batches], plan, state)
        found.append((step.loss, step.grad_norm, torch.cat([p.detach().flatten() for group in groups for p in group.params])))
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-4)
    torch.testing.assert_close(found[0][2], found[1][2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "way"), [one for one in FITTING if one[1] in ("head", "lora", "prompt")])
def test_bf16_is_near_float32_where_words_are_read_and_float32_itself_where_numbers_are(name: str, way: str) -> None:
    exact, (rounded, groups, _) = build(name, way)[0], build(name, way, precision="bf16")
    assert rounded.computes_in == (torch.float32 if name == "numbers" else torch.bfloat16)
    torch.testing.assert_close(outputs(rounded).float(), outputs(exact), atol=0.0 if name == "numbers" else 3e-2, rtol=0.0)
    losses = trained(rounded, groups)
    assert losses[-1] < losses[0]


def test_a_network_saved_as_transformers_does_says_the_same_in_a_fresh_process(tmp_path: Path) -> None:
    for name in NETWORKS:
        model = make(name)
        model.save_pretrained(tmp_path / name)
        torch.save(outputs(PackedForward(model, {}, facts_of(model), Paths("padded", "", "none", ""))), tmp_path / f"{name}.pt")
    script = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
import torch
from transformers import AutoModel
from test_layered import NETWORKS, PackedForward, Paths, facts_of, outputs
for name in NETWORKS:
    model = AutoModel.from_pretrained({str(tmp_path)!r} + "/" + name).eval()
    assert torch.equal(outputs(PackedForward(model, {{}}, facts_of(model), Paths("padded", "", "none", ""))), torch.load({str(tmp_path)!r} + f"/{{name}}.pt")), name
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def test_parameters_are_counted_as_the_formulas_say() -> None:
    lstm, gru = 4 * (16 + 12 + 1) * 12, 3 * (24 + 24 + 2) * 24
    assert sum(p.numel() for p in make("words").parameters()) == 97 * 16 + 2 * lstm + 2 * 24 + gru + 25 * 20
    assert sum(p.numel() for p in make("convolved").parameters()) == 97 * 16 + (3 * 16 + 1) * 20 + 21 * 20
    assert sum(p.numel() for p in make("numbers").parameters()) == 7 * 24 + 25 * 20
    assert count_parts(make("words"))["embeddings"] == 97 * 16
    assert len(repeated_layers(make("words"))) == 4


def test_an_lstm_and_a_gru_are_torchs_own() -> None:
    """The gates lie as torch's do, but for a GRU's: Keras has the update gate first."""
    torch.manual_seed(3)
    x = torch.randn(2, 7, 5)
    for kind in ("LSTM", "GRU"):
        spec = {"class": kind, "units": 6, "return_sequences": True, "reset_after": True, **RECURRENT}
        ours = Layer(spec, 5)
        theirs = getattr(nn, kind)(5, 6, batch_first=True)
        order = torch.arange(24) if kind == "LSTM" else torch.cat([torch.arange(6, 12), torch.arange(6), torch.arange(12, 18)])
        with torch.no_grad():
            ours.forwards.kernel.copy_(theirs.weight_ih_l0[order])
            ours.forwards.recurrent_kernel.copy_(theirs.weight_hh_l0[order])
            if kind == "LSTM":
                ours.forwards.bias.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
            else:
                ours.forwards.bias.copy_(torch.stack([theirs.bias_ih_l0[order], theirs.bias_hh_l0[order]]))
            made = ours(Sequences(x, torch.ones(2, 7, dtype=torch.bool))).x
            torch.testing.assert_close(made, theirs(x)[0], atol=1e-6, rtol=1e-6)


def test_a_column_of_one_value_is_not_divided_by_nothing() -> None:
    config = LayeredConfig.of(
        [
            {"class": "Normalization", "mean": [1.0, 2.0], "variance": [4.0, 0.0]},
            {"class": "Dense", "units": 2, "activation": "linear", "use_bias": False},
        ],
        num_columns=2,
    )
    model = LayeredModel(config).eval()
    with torch.no_grad():
        model.layers[0].linear.weight.copy_(torch.eye(2))
        said = model(inputs_embeds=torch.tensor([[[5.0, 2.0]]])).last_hidden_state
    assert said[0, 0].tolist() == [2.0, 0.0]


def test_rows_of_numbers_are_kept_to_the_bit() -> None:
    rows = [
        Row((Segment((0,), vectors=((0.1, -3.0, 1e-30),)),), Origin("rows", 1)),
        Row((Segment((0,), vectors=((2.0, 5.0, math.pi),)),), Origin("rows", 2)),
    ]
    writer = RowWriter()
    for number, row in enumerate(rows):
        writer.add([row], number)
    assert list(writer.table()) == rows


def test_words_and_numbers_are_not_taken_for_each_other() -> None:
    with pytest.raises(ValueError, match="this network reads numbers, and was given tokens"):
        make("numbers")(torch.ones(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="the layer before the last one says a vector a word"):
        LayeredConfig.of(NETWORKS["words"]["layers"][:2])
    with pytest.raises(ValueError, match="Flatten needs texts of one length, and its input has none"):
        LayeredConfig.of([NETWORKS["words"]["layers"][0], {"class": "Flatten"}])
