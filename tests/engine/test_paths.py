"""Packed equals alone equals padded, over every family; the probe finds out where it does not."""

import pytest
import torch
from families import CAUSAL, ENCODER_DECODERS, ENCODERS, PADDED_ONLY, facts_of, make, random_rows
from torch import Tensor, nn

from tunesmith.core.batch import collate
from tunesmith.core.errors import ModelError
from tunesmith.core.types import Origin, Row, Segment
from tunesmith.engine.attention import PACKED, attention_implementation, packed_attention
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.probe import probe

FAMILIES = [*CAUSAL, *ENCODERS, *ENCODER_DECODERS]
LENGTHS = (9, 14, 5, 9)


def _alone(model: nn.Module, name: str, row: Row) -> Tensor:
    """transformers itself, on one sequence: last hidden states, or logits of a language model."""
    ids = torch.tensor([row.segments[0].tokens])
    with torch.no_grad():
        if name in ENCODER_DECODERS:
            return model(input_ids=ids, decoder_input_ids=ids).logits[0]
        output = model(input_ids=ids)
    return output.logits[0] if name in CAUSAL else output.last_hidden_state[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_probe_packs_exactly_the_families_that_can_be_packed(name: str) -> None:
    model = make(name)
    assert probe(model, facts_of(name, model)).attention == ("padded" if name in PADDED_ONLY else "packed")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("attention", ["auto", "padded"])
def test_either_path_equals_transformers_on_each_sequence_alone(name: str, attention: str) -> None:
    double = name != "gpt_oss"  # torch's grouped product of its experts knows no float64
    model = make(name, torch.float64 if double else torch.float32)
    facts = facts_of(name, model)
    paths = probe(model, facts, attention)  # type: ignore[arg-type]
    rows = random_rows(LENGTHS, facts)
    batch = collate(rows, facts)
    forward = PackedForward(model, {}, facts, paths).eval()
    with torch.no_grad():
        if name in ENCODERS:
            found, expected = forward.hidden(batch), torch.cat([_alone(model, name, row) for row in rows])
        else:
            found = forward.logprobs(batch)[0]
            logits = torch.cat([_alone(model, name, row)[list(row.targets.positions)] for row in rows])
            expected = logits.to(found.dtype).log_softmax(1).gather(1, batch.labels_N[:, None])[:, 0]
    # Some models compute norms, rotations or routing in float32 whatever the weights are.
    tolerance = 1e-5 if double else 1e-4
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gpt2", "bert", "modernbert"])
def test_changing_one_segment_moves_no_other(name: str) -> None:
    model = make(name)
    facts = facts_of(name, model)
    forward = PackedForward(model, {}, facts, probe(model, facts)).eval()
    rows = random_rows(LENGTHS, facts)
    other = random_rows(LENGTHS, facts, seed=1)
    with torch.no_grad():
        before = forward.hidden(collate(rows, facts))
        after = forward.hidden(collate([rows[0], other[1], rows[2], rows[3]], facts))
    changed = slice(LENGTHS[0], LENGTHS[0] + LENGTHS[1])
    assert not torch.equal(before[changed], after[changed])
    before[changed] = after[changed]
    assert torch.equal(before, after)


@pytest.mark.parametrize("attention", ["packed", "padded"])
@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
def test_a_segment_continues_its_parent_as_if_both_were_one_sequence(name: str, attention: str) -> None:
    model = make(name)
    facts = facts_of(name, model)
    paths = Paths(attention, "", "fused", "")  # type: ignore[arg-type]
    forward = PackedForward(model, {}, facts, paths).eval()
    prompt, first, second = (row.segments[0].tokens for row in random_rows((7, 4, 6), facts))
    shared = Row((Segment(prompt), Segment(first, parent=0), Segment(second, parent=0)), Origin("shared", 1))
    whole = [Row((Segment(prompt + answer),), Origin("whole", 1)) for answer in (first, second)]
    with torch.no_grad():
        found = forward.hidden(collate([shared], facts))
        expected = [forward.hidden(collate([row], facts))[len(prompt) :] for row in whole]
    torch.testing.assert_close(found[len(prompt) :], torch.cat(expected), atol=2e-5, rtol=2e-5)


def test_packed_is_refused_where_it_is_not_exact() -> None:
    model = make("bloom")
    with pytest.raises(ModelError, match=r"model.attention: packed is not exact on this model \(its attention cannot be packed"):
        probe(model, facts_of("bloom", model), "packed")


@pytest.mark.parametrize(
    ("name", "head"),
    [("llama", "fused"), ("phi", "fused"), ("gemma2", "model"), ("granite", "model"), ("cohere", "model"), ("t5", "model")],
)
def test_the_fused_head_is_used_only_where_it_gives_the_models_own_logits(name: str, head: str) -> None:
    model = make(name)
    assert probe(model, facts_of(name, model)).head == head


def test_a_wrong_window_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe can fail: with the window ignored, Mistral is not exact, and is sent to the padded path."""
    from tunesmith.engine import attention as module

    def causal_only(_grid: Tensor) -> module.SegmentMask:
        return module.SegmentMask(None, True, (-1, 0))

    model = make("mistral")
    monkeypatch.setattr(module.SegmentMask, "of", causal_only)
    paths = probe(model, facts_of("mistral", model))
    assert paths.attention == "padded"
    assert "differ" in paths.attention_reason


def test_generation_is_left_on_transformers_own_attention() -> None:
    model = make("llama")
    with attention_implementation(model, PACKED, 8):
        assert model.config._attn_implementation == PACKED
    assert model.config._attn_implementation == "sdpa"


def test_an_argument_that_the_packed_path_does_not_know_is_refused() -> None:
    from tunesmith.engine.attention import PackedUnsupported

    q = torch.randn(1, 2, 4, 8)
    with pytest.raises(PackedUnsupported, match="attention with position_bias"):
        packed_attention(
            nn.Module(), q, q, q, None, segment_bounds=torch.tensor([0, 4]), segment_parents=torch.tensor([-1]), position_bias=torch.ones(1)
        )
