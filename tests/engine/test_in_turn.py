"""Layers of a mapped file whose exact weights are read in turn."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.core import allocator
from tunesmith.engine.in_turn import read_in_turn


class _Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2048, 2048) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def _read_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssFile"))


@pytest.mark.skipif(allocator._glibc() is None, reason="only Linux, with glibc, says which pages of a file are in memory")
def test_inside_the_block_no_more_than_a_layer_stays_in_memory(tmp_path: Path) -> None:
    made = _Trunk().requires_grad_(False)
    x = torch.ones(3, 2048)
    expected = made(x)
    save_file(made.state_dict(), tmp_path / "weights.safetensors")
    trunk = _Trunk().requires_grad_(False)
    trunk.load_state_dict(load_file(tmp_path / "weights.safetensors"), assign=True)
    before = _read_bytes()
    with read_in_turn(trunk):
        assert torch.equal(trunk(x), expected)
        assert _read_bytes() - before < 2 * 2**20
    assert torch.equal(trunk(x), expected)
    assert _read_bytes() - before > 60 * 2**20  # four weights of 16 MiB, which stay outside of it
