"""How GLUE's and SuperGLUE's tasks are judged where lm-eval does not have it."""

import random
import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from datasets import Dataset
from lm_eval.api.metrics import acc_all
from scipy.stats import pearsonr
from sklearn.metrics import f1_score, matthews_corrcoef

from tunesmith.core import registry


def defined(suite: str, task: str) -> Any:
    return registry.create("suite", suite).definition(task)


def aggregations(suite: str, task: str) -> dict[str, Any]:
    return {metric["metric"]: metric.get("aggregation") for metric in defined(suite, task)["metric_list"]}


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


@pytest.mark.parametrize(
    ("suite", "task", "metric", "num_classes", "peer"),
    [
        ("glue", "cola", "mcc", 2, matthews_corrcoef),
        ("glue", "mrpc", "f1", 2, f1_score),
        ("glue", "qqp", "f1", 2, f1_score),
        ("superglue", "cb", "f1", 3, partial(f1_score, average="macro")),
    ],
)
def test_classes_are_judged_as_scikit_learn_does(suite: str, task: str, metric: str, num_classes: int, peer: Any) -> None:
    draw, aggregate = random.Random(1), aggregations(suite, task)[metric]
    for _ in range(50):
        pairs = [(draw.randrange(num_classes), draw.randrange(num_classes)) for _ in range(draw.randrange(12, 60))]
        assert aggregate(pairs) == pytest.approx(peer(*zip(*pairs, strict=True)))


def test_record_is_asked_as_lm_eval_asks_it_and_judged_by_squads_script(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = ModuleType("transformers.data.metrics.squad_metrics")  # which transformers no longer has
    monkeypatch.setitem(sys.modules, "transformers.data.metrics", ModuleType("transformers.data.metrics"))
    monkeypatch.setitem(sys.modules, "transformers.data.metrics.squad_metrics", scripts)
    monkeypatch.setattr(sys.modules["transformers.data.metrics"], "squad_metrics", scripts, raising=False)
    from lm_eval.tasks.super_glue.record import t5_utils, util

    passage = "The Ann saw an Ann Lee.\n@highlight\nBob ran\n@highlight\nAnn won"
    doc = {
        "passage": passage,
        "query": "@placeholder met @placeholder",
        "entities": ["Bob", "Ann Lee", "The Ann", "Bob"],
        "answers": ["Ann", "Ann"],
    }
    (theirs,) = util.process_docs(Dataset.from_list([doc]))
    task = defined("superglue", "record")
    assert task["doc_to_text"](doc) == util.doc_to_text(theirs)
    assert task["doc_to_choice"](doc) == util.doc_to_choice(theirs)
    assert task["doc_to_target"](doc) == util.doc_to_target(theirs)
    for place, name in enumerate(theirs["entities"]):
        found = task["process_results"](doc, [(float(place == other), False) for other in range(3)])
        item = [(name, "1_Ann")]
        assert (found["f1"], found["em"]) == pytest.approx((t5_utils.squad_f1_agg(item), t5_utils.squad_em_agg(item)))


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
