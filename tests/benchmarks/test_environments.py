"""Environments of the peers: whole or not at all, and never with CUDA's libraries."""

import json
import re
import subprocess

import pytest

from benchmarks import environments
from benchmarks.environments import PEERS, environment_folder, needs_cuda, peer_python, requirements
from benchmarks.workload import BenchmarkError

NAMES = sorted(file.stem for file in PEERS.glob("*.txt"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    return tmp_path / "benchmarks"


@pytest.mark.parametrize("peer", NAMES)
def test_every_package_is_pinned_and_torch_is_the_same(peer):
    lines = [*requirements(peer)[0], *requirements(peer)[1]]
    assert "torch==2.13.0" in lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert len({line.split("==")[0].lower() for line in lines}) == len(lines)


def test_what_llama_factory_asks_for_and_text_does_not_need_is_left_out():
    packages, alone = requirements("llamafactory")
    assert [line.split("==")[0] for line in alone] == ["llamafactory"]
    assert not any(line.startswith(("torchvision", "torchaudio")) for line in packages)


def test_other_packages_go_into_another_folder(tmp_path, monkeypatch):
    (tmp_path / "trl.txt").write_text("torch==2.13.0\ntrl==1.0\n", encoding="utf-8")
    own = environment_folder("trl")
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    assert environment_folder("trl") != own
    assert environment_folder("trl") == environment_folder("trl")


def test_cuda_is_seen_in_what_a_build_of_torch_asks_for():
    def report(*needs):
        return json.dumps({"install": [{"metadata": {"name": "torch", "requires_dist": ["filelock", *needs]}}]})

    assert needs_cuda(report('nvidia-cudnn-cu13==9.1; platform_system == "Linux"'))
    assert needs_cuda(report("triton==3.5"))
    assert not needs_cuda(report("sympy>=1.13"))


def _pip(monkeypatch, *, needs=(), fails=False):
    """In place of the programs: an empty venv, and a pip that says what torch needs."""
    commands = []

    def run(command, **_):
        commands.append(command)
        report = json.dumps({"install": [{"metadata": {"requires_dist": list(needs)}}]})
        code = int(fails and "--dry-run" not in command and "venv" not in command)
        return subprocess.CompletedProcess(command, code, report, "ERROR: No matching distribution\n" if code else "")

    monkeypatch.setattr(environments.subprocess, "run", run)
    return commands


def test_an_environment_is_made_once_and_in_whole(cache, monkeypatch):
    commands = _pip(monkeypatch)
    python, said = peer_python("llamafactory", lambda _: None), []
    assert python.startswith(str(environment_folder("llamafactory")))
    assert "--no-deps" in commands[-1]
    assert commands[-1][-1].startswith("llamafactory==")
    num_commands = len(commands)
    assert peer_python("llamafactory", said.append) == python
    assert (said, len(commands)) == ([], num_commands)


@pytest.mark.parametrize(
    ("pip", "message"), [({"fails": True}, "No matching distribution"), ({"needs": ["nvidia-nccl-cu13"]}, "PIP_EXTRA_INDEX_URL")]
)
def test_nothing_is_left_of_one_that_cannot_be_made(cache, monkeypatch, pip, message):
    _pip(monkeypatch, **pip)
    with pytest.raises(BenchmarkError, match=message):
        peer_python("trl", lambda _: None)
    assert list(cache.iterdir()) == []
