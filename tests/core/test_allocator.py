"""Freed memory that a process keeps for its next step: seen from outside, by the page faults that it does not take; and what it read of a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.core import allocator

STEPS = """
import ctypes, resource, sys
from tunesmith.core.allocator import give_back_freed_memory, keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes, libc.memset.argtypes = ctypes.c_void_p, [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [None] * 200

def step():  # 200 MB
    for i in range(len(blocks)):
        blocks[i] = libc.malloc(2**20)
        libc.memset(blocks[i], 1, 2**20)
    for block in reversed(blocks):
        libc.free(block)

def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
step()
print(faults() - before)
give_back_freed_memory()
before = faults()
step()
print(faults() - before)
"""

needs_glibc = pytest.mark.skipif(allocator._glibc() is None, reason="glibc is not the allocator here")


def _faults(way: str, **environment: str) -> list[int]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", STEPS, way], capture_output=True, text=True, check=True, env={**known, **environment})
    return [int(line) for line in done.stdout.split()]


@needs_glibc
def test_a_step_finds_the_memory_of_the_one_before_until_it_is_given_back() -> None:
    kept, given_back = _faults("keep")
    assert kept < 1000
    assert given_back > 30_000  # 200 MB in pages of 4 KB are 51,200
    assert _faults("leave")[0] > 30_000


@needs_glibc
def test_thresholds_of_the_environment_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not allocator.keep_freed_memory.__wrapped__()


def test_other_allocators_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert not allocator.keep_freed_memory.__wrapped__()
    allocator.give_back_freed_memory()


LAUNCHED = """
import os, sys
import tunesmith.cli.main
from tunesmith.core.allocator import freed_memory_scatters
tunesmith.cli.main.main = lambda: print(os.getpid(), int(freed_memory_scatters()), *sys.argv[1:])
from tunesmith.cli.launch import launch
launch()
"""


def _launched(folder: Path, name: str = "tunesmith", **environment: str) -> list[str]:
    """What a command said: whether it is the process that was started, whether memory scatters, its arguments."""
    file = folder / name
    file.write_text(LAUNCHED, encoding="utf-8")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "TUNESMITH_LAUNCHED"))}
    process = subprocess.Popen([sys.executable, str(file), "tune", "a b"], stdout=subprocess.PIPE, text=True, env={**known, **environment})
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    pid, *rest = said.split(maxsplit=2)
    return [str(int(pid) == process.pid), *rest]


@needs_glibc
def test_a_command_begins_with_memory_that_stays_in_one_piece(tmp_path: Path) -> None:
    assert _launched(tmp_path) == ["True", "0", "tune a b\n"]  # the same process, the same arguments


@needs_glibc
def test_a_command_leaves_an_allocator_alone_that_was_told_already(tmp_path: Path) -> None:
    assert _launched(tmp_path, GLIBC_TUNABLES="glibc.malloc.arena_max=2") == ["True", "1", "tune a b\n"]
    assert allocator.wanted_tunables({"MALLOC_TRIM_THRESHOLD_": "1"}) == {}


@needs_glibc
def test_a_command_tries_it_once_and_restarts_no_program_that_runs_it_inside(tmp_path: Path) -> None:
    assert _launched(tmp_path, TUNESMITH_LAUNCHED="1") == ["True", "1", "tune a b\n"]
    assert _launched(tmp_path, name="notebook.py") == ["True", "1", "tune a b\n"]


def test_no_other_allocator_is_told_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert allocator.wanted_tunables({}) == {}
    assert not allocator.freed_memory_scatters()


def _resident_file_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssFile"))


def _read_from_a_file(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Two tensors of 32 MB that one file's mapping holds, each read once."""
    save_file({"a": torch.arange(2**23).float(), "b": torch.arange(2**23).float()}, folder / "weights.safetensors")
    found = load_file(folder / "weights.safetensors")
    assert found["a"].sum() > 0
    assert found["b"].sum() > 0
    return found["a"], found["b"]


@needs_glibc
def test_what_was_read_of_a_file_is_let_go_and_found_again(tmp_path: Path) -> None:
    a, _ = _read_from_a_file(tmp_path)
    before = _resident_file_bytes()
    let_go = allocator.let_go_of_pages(a)
    assert 31 * 2**20 < let_go <= 32 * 2**20
    assert before - _resident_file_bytes() > 30 * 2**20
    assert torch.equal(a, torch.arange(2**23).float())


@needs_glibc
def test_what_was_changed_since_it_was_read_stays(tmp_path: Path) -> None:
    a, b = _read_from_a_file(tmp_path)
    a[2**22] = -1.0
    assert allocator.let_go_of_pages(a) == 0
    assert allocator.let_go_of_pages(b) > 0
    assert a[2**22] == -1.0


def test_memory_that_is_no_files_stays() -> None:
    assert allocator.let_go_of_pages(torch.ones(2**20)) == 0
    assert allocator.let_go_of_pages(torch.ones(3)) == 0  # not one whole page
    assert allocator.let_go_of_pages(torch.ones(2**20, device="meta")) == 0


def test_where_a_system_does_not_say_what_was_changed_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = _read_from_a_file(tmp_path)
    monkeypatch.setattr(allocator, "_PAGES", tmp_path / "absent")
    assert allocator.let_go_of_pages(a) == 0
