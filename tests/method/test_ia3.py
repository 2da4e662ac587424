"""IA3 against peft, and against the paper's count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from families import make, random_rows
from peft import IA3Config, PeftModel, get_peft_model
from tiny_training import build, plain_losses, trained

from tunesmith.core.batch import collate
from tunesmith.core.errors import MethodError
from tunesmith.method._peft import merge_adapter


@pytest.mark.parametrize(
    ("family", "per_layer"),
    [
        ("llama", 2 * 16 + 48),  # keys and values of two heads of 8, inner activations
        ("gpt2", 3 * 32 + 4 * 32),  # one matrix makes queries, keys and values
        ("bert", 2 * 32 + 48),  # and not what the attention's output layer reads
        ("distilbert", 2 * 32 + 48),
        ("bloom", 3 * 32 + 4 * 32),
    ],
)
def test_the_number_of_trained_parameters(family: str, per_layer: int) -> None:
    _, groups, _ = build(family, "ia3")
    assert sum(p.numel() for p in groups[0].params) == 2 * per_layer


def test_the_loss_curve_is_pefts_own_and_so_are_the_files(tmp_path: Path) -> None:
    forward, groups, made = build("llama", "ia3")
    losses = trained(forward, groups)

    config = IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    theirs = get_peft_model(make("llama"), config)
    expected = plain_losses(theirs, forward.facts)
    assert losses == pytest.approx(expected, abs=1e-4)
    assert losses[-1] < losses[0]

    made.save(forward.trunk, tmp_path / "ours")
    ids = torch.arange(6, 26)[None]
    loaded = PeftModel.from_pretrained(make("llama"), str(tmp_path / "ours")).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    other, _, again = build("llama", "ia3")
    again.load(other.trunk, tmp_path / "theirs")
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, forward.trunk.eval()(ids).logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other.trunk(ids).logits, theirs.eval()(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_merged_equals_unmerged(family: str) -> None:
    forward, groups, _ = build(family, "ia3")
    with torch.no_grad():
        for p in groups[0].params:
            p.add_(torch.randn_like(p) * 0.3)
    batch = collate(random_rows((9, 5), forward.facts), forward.facts)
    with torch.no_grad():
        expected = forward.hidden(batch)
        merge_adapter(forward.trunk)
        torch.testing.assert_close(forward.hidden(batch), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_modules": ["k_proj", "v_prj"]}, r"method.target_modules: v_prj matches nothing .* Its linear modules: .*v_proj"),
        ({"target_modules": ["v_prj"], "feedforward_modules": []}, "method.target_modules: v_prj matches nothing"),
        ({"feedforward_modules": ["down_prj"]}, "method.feedforward_modules: down_prj matches nothing"),
        (
            {"target_modules": ["k_proj"], "feedforward_modules": ["down_proj"]},
            "method.feedforward_modules: down_proj: not among the layers that are scaled. Name it in method.target_modules too",
        ),
    ],
)
def test_a_name_that_matches_nothing_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        build("llama", "ia3", **options)


@pytest.mark.parametrize(
    ("options", "per_model"),
    [
        ({"target_modules": ["k_proj", "mlp.down_proj"]}, 2 * (16 + 48)),
        ({"target_modules": ["k_proj", "mlp.down_proj"], "feedforward_modules": ["down_proj"]}, 2 * (16 + 48)),
        ({"target_modules": ["k_proj", "mlp.down_proj"], "feedforward_modules": []}, 2 * (16 + 32)),
        ({"target_modules": ["k_proj"]}, 2 * 16),
        ({"target_modules": ["down_proj"], "feedforward_modules": ["layers.0.mlp.down_proj"]}, 48 + 32),
    ],
)
def test_feed_forward_layers_are_found_by_the_ends_of_their_names(options: dict[str, Any], per_model: int, tmp_path: Path) -> None:
    """Their 48 inputs are scaled, not their 32 outputs; peft reads it so from the file too."""
    forward, groups, made = build("llama", "ia3", **options)
    assert sum(p.numel() for p in groups[0].params) == per_model
    made.save(forward.trunk, tmp_path)
    theirs = PeftModel.from_pretrained(make("llama"), str(tmp_path))
    assert sum(p.numel() for name, p in theirs.named_parameters() if "ia3_l" in name) == per_model
