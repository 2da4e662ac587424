"""Broken files are refused in one typed line within 5 seconds and 500 MB, and their sound twins are read."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data.broken.cases import CASES, _read
from tunesmith.core.errors import DataError
from tunesmith.data import read

ROOT = Path(__file__).parents[3]
MOST_SECONDS = 5.0
MOST_MEGABYTES = 500

_CHILD = r"""
import json, re, resource, sys, time
from pathlib import Path
from tests.data.broken.cases import CASES
from tunesmith.core.errors import TunesmithError
case = CASES[sys.argv[1]]
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
started, kind, said = time.perf_counter(), "", ""
try:
    case.act(Path(sys.argv[2]))
except TunesmithError as error:
    kind, said = type(error).__name__, str(error)
# not ru_maxrss: a process begins with its parent's
megabytes = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps({"kind": kind, "said": said, "seconds": time.perf_counter() - started, "megabytes": megabytes}))
"""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read otherwise there")
LIGHT = [name for name, case in CASES.items() if not case.is_heavy]
HEAVY = [name for name, case in CASES.items() if case.is_heavy]


def may_run(name: str) -> None:
    if name == "a file that may not be read" and os.geteuid() == 0:
        pytest.skip("root may read everything")


def is_one_line(said: str) -> bool:
    return "\n" not in said and len(said) < 1000


def test_there_are_at_least_sixty_ways_to_be_broken() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", LIGHT)
def test_what_is_broken_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    may_run(name)
    case = CASES[name]
    path, started = case.broken(tmp_path), time.perf_counter()
    with pytest.raises(case.error) as caught:
        case.act(path)
    assert time.perf_counter() - started < MOST_SECONDS
    assert is_one_line(str(caught.value)), str(caught.value)
    assert re.search(case.said, str(caught.value)), str(caught.value)


@only_linux
@pytest.mark.parametrize("name", HEAVY)
def test_what_is_made_to_fill_a_memory_is_refused_in_little_of_it(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.broken(tmp_path)
    command = [sys.executable, "-c", _CHILD, name, str(path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    path.unlink()
    assert found["kind"] == case.error.__name__
    assert is_one_line(found["said"]), found["said"][:2000]
    assert re.search(case.said, found["said"]), found["said"]
    assert found["seconds"] < MOST_SECONDS
    assert found["megabytes"] < MOST_MEGABYTES


@pytest.mark.parametrize("name", CASES)
def test_its_sound_twin_is_taken(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    assert case.act(case.sound(tmp_path))


@pytest.mark.parametrize("name", [name for name in LIGHT if CASES[name].act is _read])
def test_skipping_what_is_invalid_ends_in_rows_or_in_one_line(name: str, tmp_path: Path) -> None:
    """Whatever is skipped is told: no row is left out without being among the invalid ones, and a broken file stays an error."""
    may_run(name)
    path = CASES[name].broken(tmp_path)
    said = list[str]()
    try:
        found = read(path, skip_invalid=True)
    except DataError as error:
        said.append(str(error))
    if said:
        assert is_one_line(said[0])
        return
    assert found.examples
    assert found.invalid
    assert found.facts.num_invalid == len(found.invalid)
    assert all(invalid.row >= 1 and invalid.reason for invalid in found.invalid)


def test_a_link_back_to_the_folder_is_no_class(tmp_path: Path) -> None:
    for name in ("neg", "pos"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(name)
    (tmp_path / "loop").symlink_to(tmp_path)
    found = read(tmp_path)
    assert found.facts.labels == ("neg", "pos")
    assert any("loop/ is a link back" in note for note in found.facts.notes)
