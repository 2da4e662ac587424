"""Generators go on where they were."""

from pathlib import Path

import pytest
import torch
from families import facts_of, make
from torch import Tensor

from tunesmith.core.types import ParamGroup
from tunesmith.engine.checkpoints import load_checkpoint, save_checkpoint
from tunesmith.engine.forward import PackedForward, Paths
from tunesmith.engine.loop import TrainingState
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.randomness import random_state, set_random_state

GPU = torch.device("cuda", 1)


@pytest.fixture
def gpu_state(monkeypatch: pytest.MonkeyPatch) -> dict[torch.device, Tensor]:
    """The state of a GPU's generator, without a GPU."""
    states = {GPU: torch.arange(16, dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.update({device: state.clone()}))
    return states


def test_noise_repeats_from_a_state_that_is_put_back() -> None:
    state = random_state(torch.device("cpu"))
    noise = torch.rand(4)
    set_random_state(state, torch.device("cpu"))
    assert torch.equal(torch.rand(4), noise)
    assert list(state) == ["cpu"]


def test_a_gpus_generator_is_put_back_with_torchs_own(gpu_state: dict[torch.device, Tensor]) -> None:
    state, noise = random_state(GPU), torch.rand(4)
    gpu_state[GPU] = torch.zeros(16, dtype=torch.uint8)
    set_random_state(state, GPU)
    assert gpu_state[GPU].tolist() == list(range(16))
    assert torch.equal(torch.rand(4), noise)


def test_a_checkpoint_holds_the_gpus_generator(
    tmp_path: Path, gpu_state: dict[torch.device, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PackedForward, "device", property(lambda self: GPU))
    model = make("llama")
    forward = PackedForward(model, {}, facts_of("llama", model), Paths("packed", "", "fused", ""))
    state = TrainingState(make_optimizer([ParamGroup("all", list(forward.parameters()))], name="sgd", weight_decay=0.0))
    path = save_checkpoint(tmp_path, forward, state, {})
    gpu_state[GPU] = torch.zeros(16, dtype=torch.uint8)
    load_checkpoint(path, forward, state)
    assert gpu_state[GPU].tolist() == list(range(16))
    monkeypatch.undo()
    load_checkpoint(path, forward, state)  # and goes on without a GPU
    assert set(state.random or ()) == {"cpu", "cuda"}
