"""Documents of groups and of a comparison, made up."""

from typing import Any

from tests.report.example_reports import estimate

__all__ = ["compared_runs", "curve", "seeds"]

_HEAD: dict[str, Any] = {
    "directory": "runs/reviews-1",
    "group": "reviews-1",
    "name": "reviews",
    "description": "",
    "created": "2026-01-01T12:00:00+00:00",
    "status": "done",
    "task": {"objective": "classify", "method": "lora", "kind": "classification", "base": "zero_shot"},
    "model": "minilm-l6",
    "data": {"source": "movie-reviews", "validation_rows": 400, "test_rows": 2000},
    "tasks": {},
    "cost": {"train_seconds": 90.0, "total_seconds": 120.0, "tokens": 1000},
    "recipe": "model: minilm-l6\ndata: movie-reviews\n",
    "command": "tunesmith tune runs/reviews-1/recipe.yaml",
    "warnings": [],
}


def _run(name: str, rows: int, value: float, **more: Any) -> dict[str, Any]:
    best = {"step": rows // 16, "epoch": 1.0, "metric": "accuracy", "value": value, "loss": 0.4}
    return {
        "run": name,
        "directory": f"runs/reviews-1/{name}",
        "train_rows": rows,
        "steps": rows // 8,
        "best": best,
        "stopped_early": False,
        "overfitting": {"found": False, "text": ""},
        "train_seconds": 30.0,
        **more,
    }


def seeds(choice: str | None = "seed-1") -> dict[str, Any]:
    """Three seeds of a classifier."""
    values = [0.840, 0.852, 0.846]
    entry = {
        "higher_is_better": True,
        "rows": 2000,
        "values": values,
        "tuned": estimate(0.846, 0.02),
        "sd": 0.006,
        "min": 0.84,
        "max": 0.852,
        "base": estimate(0.68, 0.02),
        "difference": estimate(0.166, 0.022),
    }
    spread = {
        **entry,
        "values": [0.41, 0.40, 0.42],
        "tuned": estimate(0.41, 0.01),
        "base": None,
        "difference": None,
        "higher_is_better": False,
    }
    return {
        **_HEAD,
        "schema": "tunesmith/seeds/1",
        "runs": [_run(f"seed-{n}", 3200, value, seed=n) for n, value in enumerate(values)],
        "metrics": {"accuracy": entry, "rmse": spread},
        "domains": {"tweets": {"metrics": {"accuracy": entry}}},
        "choice": choice
        and {"run": choice, "directory": f"runs/reviews-1/{choice}", "metric": "accuracy", "value": 0.86, "by": "validation"},
    }


def curve(trend: str = "helps") -> dict[str, Any]:
    """Three sizes of a classifier's training data."""
    sizes, values = [320, 960, 3200], [0.74, 0.81, 0.846]

    def step(one: int, other: int, verdict: str) -> dict[str, Any]:
        difference = estimate(values[other] - values[one], 0.014)
        return {"from_rows": sizes[one], "to_rows": sizes[other], **difference, "p": 0.0004, "test": "mcnemar", "verdict": verdict}

    last = {"helps": "better", "helped": "unclear", "flat": "unclear", "harms": "worse"}[trend]
    first = {"helps": "better", "helped": "better", "flat": "unclear", "harms": "unclear"}[trend]
    entry = {
        "higher_is_better": True,
        "rows": 2000,
        "values": [estimate(value) for value in values],
        "base": estimate(0.68, 0.02),
        "steps": [step(0, 1, first), step(1, 2, last)],
        "whole": step(0, 2, first),
        "per_doubling": estimate(0.03, 0.005),
        "trend": trend,
    }
    runs = [_run(f"part-{n}", size, value, fraction=n) for n, size, value in zip((0.1, 0.3, 1.0), sizes, values, strict=True)]
    return {**_HEAD, "schema": "tunesmith/curve/1", "runs": runs, "metrics": {"accuracy": entry}, "domains": {}}


def compared_runs(verdict: str = "worse") -> dict[str, Any]:
    """Two runs: the second is worse by accuracy, and the other metric cannot be paired."""
    difference = {**estimate(-0.03, 0.01), "p": 0.001, "p_holm": 0.002, "test": "mcnemar", "detectable": 0.0125, "verdict": verdict}
    entry = {"kind": "test", "data": "test", "metric": "accuracy", "higher_is_better": True, "rows": [2000, 2000]}
    about = {
        "created": "2026-01-01T12:00:00+00:00",
        "task": _HEAD["task"],
        "model": "minilm-l6",
        "rows": {"train": 3200, "validation": 400, "test": 2000},
    }
    return {
        "schema": "tunesmith/runs-compare/1",
        "runs": [{"run": name, "directory": f"runs/{name}", **about} for name in ("one", "two")],
        "num_tests": 2,
        "comparisons": [
            {**entry, "values": [estimate(0.85), estimate(0.82)], "differences": [difference]},
            {**entry, "data": "tweets", "kind": "domain", "values": [estimate(0.7), estimate(0.71)], "differences": [None]},
        ],
        "recipe": {"method.r": [8, None], "train.learning_rate": [0.0003, 0.01]},
        "cost": {"train_seconds": [30.0, 65.0], "peak_memory_bytes": [10**9, None], "tokens": [1000, 2000]},
        "num_differing": 40,
        "ranked_by": "accuracy",
        "rows": [
            {
                "row": "a.csv:7",
                "text": "A <b>dull</b> film",
                "reference": "negative",
                "said": ["negative", "positive"],
                "scores": [1.0, 0.0],
            }
        ],
        "remarks": ["tweets: runs/two was judged on other rows."],
    }
