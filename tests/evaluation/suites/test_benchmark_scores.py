"""How GLUE's and SuperGLUE's tasks are judged where lm-eval does not have it."""

import random
from typing import Any

import pytest
from lm_eval.api.metrics import acc_all
from scipy.stats import pearsonr
from sklearn.metrics import f1_score

from tunesmith.core import registry


def defined(suite: str, task: str) -> Any:
    return registry.create("suite", suite).definition(task)


def aggregations(suite: str, task: str) -> dict[str, Any]:
    return {metric["metric"]: metric["aggregation"] for metric in defined(suite, task)["metric_list"]}


def test_multirc_is_judged_by_f1_over_answers_and_by_whole_questions() -> None:
    draw, task, judged = random.Random(0), defined("superglue", "multirc"), aggregations("superglue", "multirc")
    docs, said = [], []
    for place in range(120):
        idx = {"paragraph": place // 24, "question": place // 6 % 4, "answer": place}
        docs.append({"answer": "it", "label": draw.randrange(2), "idx": idx})
        said.append(docs[-1]["label"] if draw.random() < 0.9 else 1 - docs[-1]["label"])
    assert task["doc_to_choice"](docs[0]) == ["it\nIs the answer correct? no", "it\nIs the answer correct? yes"]
    found = [task["process_results"](doc, [(-1.0, False), (float(yes) - 1.5, False)]) for doc, yes in zip(docs, said, strict=True)]
    items = {name: [one[name] for one in found] for name in judged}
    assert judged["f1a"](items["f1a"]) == pytest.approx(f1_score([doc["label"] for doc in docs], said))
    assert 0.3 < judged["em"](items["em"]) == pytest.approx(acc_all(list(zip(said, docs, strict=True))))
    passage = items["em"][:24]
    assert judged["em"](passage * 2) == judged["em"](passage)  # drawn twice
    assert judged["em"]([*passage[:6], *passage[:6], ((9, 9), 0, False)]) in (0, 2 / 3)


def test_stsb_says_the_likeliest_listed_score_and_is_judged_by_both_correlations() -> None:
    task = defined("glue", "stsb")
    assert task["doc_to_choice"][task["doc_to_target"]({"label": 2.57})] == "2.6"  # T5's example
    chances = {"0.0": -3.0, "4.2": -1.0, "5.0": -2.0}
    said = task["process_results"]({"label": 4.0}, [(chances.get(score, -9.0), False) for score in task["doc_to_choice"]])
    assert said == {"pearson": (4.0, 4.2), "spearman": (4.0, 4.2)}
    pearson, spearman = aggregations("glue", "stsb").values()
    items = [(0.0, 1.0), (2.5, 1.2), (5.0, 4.0)]
    assert pearson(items) == pytest.approx(pearsonr(*zip(*items, strict=True)).statistic)
    assert spearman(items) == pytest.approx(1)
    assert pearson([(0.0, 1.0), (5.0, 1.0)]) == 0
