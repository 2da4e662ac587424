"""Learned tokens and prefixes on packed streams, against peft's own forward, one text at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from families import ENCODER_DECODERS, facts_of, make, random_rows
from peft import PeftModel, get_peft_model
from tiny_training import LENGTHS, plain_losses, trained
from torch import Tensor

from tunesmith.core import registry
from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.core.types import ParamGroup
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.generate import generate
from tunesmith.engine.probe import caches_exactly, probe

OPTIONS: dict[str, dict[str, Any]] = {
    "prompt": {"num_virtual_tokens": 3},
    "p_tuning": {"num_virtual_tokens": 3, "encoder_hidden_size": 12},
    "prefix": {"num_virtual_tokens": 3},
}


def _tuned(family: str, method: str, **options: Any) -> tuple[PackedForward, list[ParamGroup], Any]:
    """A tiny model with what the method learns moved far enough from where it begins to matter."""
    model = make(family)
    facts = facts_of(family, model)
    paths = probe(model, facts)
    made = registry.create("method", method, **{**OPTIONS[method], **options})
    torch.manual_seed(5)
    groups = made.apply(model)
    with torch.no_grad():
        for group in groups:
            for p in group.params:
                p.add_(torch.randn_like(p) * 0.3)
    forward = PackedForward(model.eval(), {}, facts, paths)
    forward.use_virtual_tokens(made.virtual_tokens)
    return forward, groups, made


def _peft_logits(family: str, folder: Path, rows: list[tuple[int, ...]]) -> list[Tensor]:
    """What peft's model, loaded from the files, says to each text alone: logits, or an encoder's hidden states."""
    theirs = PeftModel.from_pretrained(make(family), str(folder)).eval()
    with torch.no_grad():
        found = [theirs(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long)) for row in rows]
    return [(one.logits if hasattr(one, "logits") else one.last_hidden_state)[0, -len(row) :] for one, row in zip(found, rows, strict=True)]


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3", "gpt2", "opt", "bloom", "gpt_neo", "gptj"])
def test_a_packed_model_says_what_peft_says_to_each_text_alone(family: str, method: str, tmp_path: Path) -> None:
    forward, _, made = _tuned(family, method)
    made.save(forward.trunk, tmp_path)
    rows = random_rows(LENGTHS, forward.facts)
    batch = collate(rows, forward.facts)
    with torch.no_grad():
        ours = forward._own_logits(batch)
        hidden = forward.hidden(batch)
    expected = _peft_logits(family, tmp_path, [row.segments[0].tokens for row in rows])
    wanted = torch.cat([logits[list(row.targets.positions)] for logits, row in zip(expected, rows, strict=True)])
    torch.testing.assert_close(ours, wanted, atol=3e-5, rtol=3e-5)
    assert len(hidden) == batch.stream.num_tokens
    plain = PackedForward(make(family).eval(), {}, forward.facts, forward.paths)
    with torch.no_grad():
        assert not torch.allclose(plain._own_logits(batch), ours, atol=1e-2), "the learned tokens change nothing"


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert", "electra"])
@pytest.mark.parametrize("method", ["prompt", "p_tuning"])
def test_an_encoder_reads_learned_tokens_before_every_text(family: str, method: str) -> None:
    """Against the model's own forward over its own embeddings of a text, with the learned ones before."""
    forward, _, _ = _tuned(family, method)
    rows = random_rows(LENGTHS, forward.facts)
    with torch.no_grad():
        ours = forward.hidden(collate(rows, forward.facts))
        vectors = forward.trunk.virtual_tokens.vectors()  # type: ignore[operator,union-attr]
        plain, expected = make(family).eval(), []
        for row in rows:
            embedded = torch.cat([vectors, plain.get_input_embeddings()(torch.tensor(row.segments[0].tokens))])[None]  # type: ignore[operator]
            positions = torch.arange(embedded.shape[1])[None] + forward.facts.first_position
            given = {} if family == "distilbert" else {"position_ids": positions}
            expected.append(plain(inputs_embeds=embedded, **given).last_hidden_state[0, len(vectors) :])
    torch.testing.assert_close(ours, torch.cat(expected), atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize(
    "family", ["llama", "falcon", "gemma2", "gemma3", "gpt_oss", "phi", "smollm3", "bert", "roberta", "distilbert", "modernbert"]
)
def test_a_prefix_is_seen_by_every_token_and_sees_none(family: str) -> None:
    """Packed equals one text at a time; and a text's states are those of attention over its own keys after the learned ones."""
    forward, _, _ = _tuned(family, "prefix")
    assert (forward.paths.attention == "packed") == (family != "falcon")
    rows = random_rows(LENGTHS, forward.facts)
    with torch.no_grad():
        together = forward.hidden(collate(rows, forward.facts))
        alone = torch.cat([forward.hidden(collate([row], forward.facts)) for row in rows])
    torch.testing.assert_close(together, alone, atol=3e-5, rtol=3e-5)
    base = PackedForward(make(family).eval(), {}, forward.facts, forward.paths)
    with torch.no_grad():
        assert not torch.allclose(base.hidden(collate(rows, forward.facts)), together, atol=1e-2)


def test_prefix_of_an_encoder_is_attention_over_longer_keys() -> None:
    """One layer of BERT worked by hand: softmax(q [K_l; K]' / sqrt(d)) [V_l; V]."""
    forward, _, _ = _tuned("bert", "prefix")
    layer: Any = forward.trunk.encoder.layer[0].attention.self  # type: ignore[union-attr,index]
    seen = {}
    layer.register_forward_hook(lambda module, args, kwargs, output: seen.update(x=args[0], out=output[0]), with_kwargs=True)
    row = random_rows((7,), forward.facts)
    with torch.no_grad():
        forward.hidden(collate(row, forward.facts))
        x = seen["x"][0, 3:]  # what comes after the virtual tokens
        q, k, v = (f(x).view(len(x), 4, 8).transpose(0, 1) for f in (layer.query, layer.key, layer.value))
        keys, values = layer.learned_prefix()
        weights = torch.softmax(q @ torch.cat([keys, k], 1).transpose(1, 2) / 8**0.5, -1)
        expected = (weights @ torch.cat([values, v], 1)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(seen["out"][0, 3:], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom"])
def test_generation_is_pefts(family: str, method: str, tmp_path: Path) -> None:
    forward, _, made = _tuned(family, method)
    made.save(forward.trunk, tmp_path)
    prompts = [row.segments[0].tokens for row in random_rows(LENGTHS, forward.facts)]
    assert caches_exactly(forward) == (family != "bloom")
    ours = generate(forward, prompts, max_new_tokens=6, stop_tokens=(2,))
    theirs = PeftModel.from_pretrained(make(family), str(tmp_path)).eval()
    for prompt, answer in zip(prompts, ours, strict=True):
        tokens = list(prompt)
        for _ in range(6):
            with torch.no_grad():
                token = int(theirs(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())
            if token == 2:
                break
            tokens.append(token)
        assert answer == tokens[len(prompt) :]


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_the_loss_curve_is_pefts_own(method: str, tmp_path: Path) -> None:
    """Same start, same data: peft's model under a plain torch loop, one text at a time."""
    forward, groups, made = _tuned("llama", method)
    made.save(forward.trunk, tmp_path)
    losses = trained(forward, groups)
    config = made._config(make("llama"))
    theirs = get_peft_model(make("llama"), config)
    with torch.no_grad():
        saved = PeftModel.from_pretrained(make("llama"), str(tmp_path)).prompt_encoder["default"].embedding.weight
        theirs.prompt_encoder["default"].embedding.weight.copy_(saved)
    expected = plain_losses(theirs, forward.facts)
    assert losses == pytest.approx(expected, abs=1e-4)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("method", OPTIONS)
def test_files_of_peft_load_into_ours(method: str, tmp_path: Path) -> None:
    forward, _, made = _tuned("llama", method)
    torch.manual_seed(8)
    theirs = get_peft_model(make("llama"), made._config(make("llama"))).eval()
    theirs.save_pretrained(tmp_path)
    made.load(forward.trunk, tmp_path)
    rows = random_rows((9,), forward.facts)
    with torch.no_grad():
        ours = forward._own_logits(collate(rows, forward.facts))
        expected = theirs(input_ids=torch.tensor([rows[0].segments[0].tokens])).logits[0, -9:][list(rows[0].targets.positions)]
    torch.testing.assert_close(ours, expected, atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_decoder_reads_learned_tokens_before_its_source(family: str) -> None:
    forward, _, _ = _tuned(family, "prompt")
    rows = random_rows((9,), forward.facts)
    batch = collate(rows, forward.facts)
    tokens = torch.tensor([rows[0].segments[0].tokens])
    plain: Any = make(family).eval()
    with torch.no_grad():
        ours = forward._own_logits(batch)
        vectors = forward.trunk.virtual_tokens.vectors()  # type: ignore[operator,union-attr]
        embedded = torch.cat([vectors, plain.get_input_embeddings()(tokens[0])])[None]
        source = plain.get_encoder()(inputs_embeds=embedded)
        expected = plain(encoder_outputs=source, decoder_input_ids=tokens).logits[0, list(rows[0].targets.positions)]
    torch.testing.assert_close(ours, expected, atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize(
    ("method", "options", "number"),
    [
        ("prompt", {"num_virtual_tokens": 5}, 5 * 32),
        ("prefix", {"num_virtual_tokens": 5}, 5 * 2 * 2 * 2 * 8),  # keys and values x layers x key heads x head size
        ("prefix", {"num_virtual_tokens": 5, "prefix_projection": True, "encoder_hidden_size": 7}, 5 * 16 + (16 * 7 + 7) + (7 * 64 + 64)),
        ("p_tuning", {"num_virtual_tokens": 5, "encoder_hidden_size": 7}, 5 * 32 + (32 * 7 + 7) + (7 * 7 + 7) + (7 * 32 + 32)),
    ],
)
def test_the_number_of_trained_parameters(method: str, options: dict[str, Any], number: int) -> None:
    groups = registry.create("method", method, **options).apply(make("llama"))
    assert sum(p.numel() for group in groups for p in group.params) == number


def test_a_prompt_begins_as_its_text() -> None:
    model: Any = make("llama")
    model.token_ids_of = lambda text: [7, 8]
    registry.create("method", "prompt", num_virtual_tokens=5, init_text="two words").apply(model)
    expected = model.get_input_embeddings().weight[[7, 8, 7, 8, 7]]
    assert torch.equal(model.virtual_tokens.vectors(), expected)


def test_a_prefix_that_begins_as_a_text_is_that_text_before_every_other() -> None:
    model: Any = make("llama")
    model.token_ids_of = lambda text: [7, 8, 9]
    facts = facts_of("llama", model)
    paths = probe(model, facts)
    made = registry.create("method", "prefix", num_virtual_tokens=3, init_text="three words")
    made.apply(model)
    forward = PackedForward(model.eval(), {}, facts, paths)
    forward.use_virtual_tokens(3)
    row = random_rows((9,), facts)
    with torch.no_grad():
        ours = forward.hidden(collate(row, facts))
        expected = make("llama").eval().model(torch.tensor([[7, 8, 9, *row[0].segments[0].tokens]])).last_hidden_state[0, 3:]  # type: ignore[union-attr,operator]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "options", "family", "said"),
    [
        ("prompt", {"num_virtual_tokens": 0}, "llama", "method.num_virtual_tokens: expected at least 1, found 0"),
        ("prompt", {"init_text": "a"}, "llama", "method.init_text: needs the model's tokenizer"),
        ("prefix", {"init_text": "a", "prefix_projection": True}, "llama", "goes without method.prefix_projection"),
        ("prefix", {}, "t5", "method: prefix does not fit models with encoder-decoders"),
        ("prefix", {}, "albert", "method: prefix finds 1 attention layers that make keys in a model of 2 layers"),
        ("prefix", {}, "mamba", "method: prefix"),
        ("p_tuning", {"encoder_hidden_size": 0}, "llama", "found 0"),
    ],
)
def test_what_does_not_fit_is_told(method: str, options: dict[str, Any], family: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        registry.create("method", method, **options).apply(make(family))


def test_a_prefix_on_padded_attention_of_an_encoder_is_told() -> None:
    with pytest.raises(MethodError, match="only where its attention is packed"):
        _tuned("mpnet", "prefix")


def test_files_of_another_kind_or_shape_are_told(tmp_path: Path) -> None:
    forward, _, made = _tuned("llama", "prompt")
    made.save(forward.trunk, tmp_path)
    other, _, longer = _tuned("llama", "prompt", num_virtual_tokens=4)
    with pytest.raises(MethodError, match=r"expected virtual tokens .* of shape \(4, 32\), found .* \(3, 32\)"):
        longer.load(other.trunk, tmp_path)
    prefixed, _, prefix = _tuned("llama", "prefix")
    with pytest.raises(MethodError, match="expected virtual tokens of .*PREFIX"):
        prefix.load(prefixed.trunk, tmp_path)
    with pytest.raises(MethodError, match="no such file"):
        made.load(forward.trunk, tmp_path / "elsewhere")
