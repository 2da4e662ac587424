"""Adding a metric touches one file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith
from tunesmith.core import registry
from tunesmith.evaluation.score import metrics_for

SOURCE = '''"""Length ratio: tokens written for each token of the reference."""

from dataclasses import dataclass

__all__ = ["LengthRatio"]


@dataclass(frozen=True, kw_only=True)
class LengthRatio:
    """Words of the output for each word of the reference."""

    needs = "text"
    higher_is_better = False
    is_proportion = False

    def stats(self, example, output, reference):
        return float(len(output.text.split())), float(len(reference.split()))

    def value(self, stats_nk):
        written, wanted = stats_nk.sum(axis=0)
        return float(written / wanted)
'''

USE = """
from tunesmith.core.registry import create
from tunesmith.core.types import Completion, Origin, Output
from tunesmith.evaluation.score import evaluate_metric, metrics_for
assert "length_ratio" in metrics_for({"text"}) and "length_ratio" not in metrics_for({"label", "nll"})
examples = [Completion("", "", Origin("made", row)) for row in range(3)]
result = evaluate_metric(create("metric", "length_ratio"), examples, [Output(text="a b")] * 3, ["a b c d", "a", "a b c"], seed=0)
assert result.interval.value == 6 / 8 and result.interval.low < 6 / 8 < result.interval.high
print("found")
"""


def test_one_file_in_the_folder_is_a_metric(tmp_path: Path) -> None:
    package = Path(tunesmith.__file__).parent
    for part in ("core", "evaluation"):
        shutil.copytree(package / part, tmp_path / "tunesmith" / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tunesmith" / "__init__.py").touch()
    (tmp_path / "tunesmith" / "evaluation" / "metrics" / "length_ratio.py").write_text(SOURCE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "found\n", done.stderr


def test_another_package_adds_a_metric_through_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_metrics.py").write_text(SOURCE, encoding="utf-8")
    information = tmp_path / "their_metrics-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-metrics\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text("[tunesmith.metrics]\nlength_ratio = their_metrics\n", encoding="utf-8")
    assert "length_ratio" not in metrics_for({"text"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "length_ratio" in metrics_for({"text"})
    assert registry.describe("metric", "length_ratio").title == "Length ratio: tokens written for each token of the reference."
