"""Every metric against its named peer, and the promises that all metrics keep."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sklearn import metrics as sklearn_metrics

from tests.evaluation.metrics.made import EXAMPLE, stats_of, value_of
from tunesmith.core import registry
from tunesmith.core.types import (
    Chat,
    Completion,
    Example,
    Graded,
    Labelled,
    Message,
    Metric,
    MultiLabelled,
    Output,
    Preference,
    QuestionMetric,
    SpanQuestion,
    Tagged,
    Unpaired,
)
from tunesmith.evaluation.metrics._labels import label_code

CORPUS = [
    ("Return the sum of two numbers.", "Returns the sum of the numbers."),
    ("Open a file, for reading.", "Open the file for writing"),
    ("", "Something was expected here."),
    ("Something nobody asked for", ""),
    ("", ""),
    ("The cat sat.", "The cat sat."),
    ("naïve café 你好，世界", "naive café 你好世界！"),
    ("a", "abc"),
    ("word  with\tspaces \n", "word with spaces"),
]


def of_labels(name: str, true: Sequence[str], predicted: Sequence[str]) -> float:
    return value_of(name, [Output(label=label) for label in predicted], true)


def of_texts(name: str, pairs: Sequence[tuple[str, str]]) -> float:
    return value_of(name, [Output(text=text) for text, _ in pairs], [reference for _, reference in pairs])


def random_labels(seed: int, num_rows: int, num_classes: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    names = [f"класс {index}" for index in range(num_classes)]
    true = rng.integers(num_classes, size=num_rows)
    predicted = np.where(rng.random(num_rows) < 0.5, true, rng.integers(num_classes, size=num_rows))
    return [names[i] for i in true], [names[i] for i in predicted]


LABELLED = [
    *(random_labels(seed, rows, classes) for seed, (rows, classes) in enumerate([(200, 2), (200, 7), (9, 30), (500, 77)])),
    (["a"], ["a"]),
    (["a"], ["b"]),
    (["a", "a", "b"], ["a", "a", "a"]),
    (["a", "b", "c"], ["a", "b", "c"]),
    (["a", "a"], ["a", "new"]),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("true", "predicted"), LABELLED)
def test_label_metrics_equal_scikit_learn(true: list[str], predicted: list[str]) -> None:
    assert of_labels("accuracy", true, predicted) == pytest.approx(sklearn_metrics.accuracy_score(true, predicted), abs=1e-12)
    assert of_labels("macro_f1", true, predicted) == pytest.approx(
        sklearn_metrics.f1_score(true, predicted, average="macro", zero_division=0.0), abs=1e-12
    )
    assert of_labels("mcc", true, predicted) == pytest.approx(sklearn_metrics.matthews_corrcoef(true, predicted), abs=1e-12)


def test_label_codes_are_whole_numbers_that_float64_and_every_process_keep() -> None:
    codes = [label_code(f"label {i}") for i in range(5000)]
    assert len(set(codes)) == 5000
    assert all(code == int(code) < 2**52 for code in codes)
    # first 52 bits of sha256(b"abc") = ba7816bf 8f01cfea ..., the digest published in FIPS 180-2
    assert label_code("abc") == float(0xBA7816BF8F01C)


@pytest.mark.parametrize("pairs", [CORPUS, *([pair] for pair in CORPUS), CORPUS[:4] * 3])
def test_bleu_and_chrf_of_summed_stats_equal_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    texts, references = [text for text, _ in pairs], [reference for _, reference in pairs]
    assert of_texts("bleu", pairs) == pytest.approx(sacrebleu.corpus_bleu(texts, [references]).score, abs=1e-9)
    assert of_texts("chrf", pairs) == pytest.approx(sacrebleu.corpus_chrf(texts, [references]).score, abs=1e-9)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_equals_rouge_score_with_the_stemmer(name: str) -> None:
    scorer = RougeScorer([name], use_stemmer=True)
    expected = [scorer.score(reference, text)[name].fmeasure for text, reference in CORPUS]
    assert of_texts(name, CORPUS) == pytest.approx(np.mean(expected), abs=1e-12)


def test_rouge_worked_by_hand() -> None:
    pair = [("police killed the gunman", "the gunman kills police")]  # killed and kills have one stem
    assert of_texts("rouge1", pair) == pytest.approx(1.0)
    assert of_texts("rouge2", pair) == pytest.approx(1 / 3)  # "the gunman", of 3 pairs each
    assert of_texts("rougeL", pair) == pytest.approx(1 / 2)  # "the gunman", of 4 words each


def test_rouge_reads_no_nltk_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    from tunesmith.evaluation.metrics import _rouge

    def refuse(*arguments: object, **options: object) -> None:
        raise LookupError("nltk data was asked for")

    for name in ("find", "load"):
        monkeypatch.setattr(nltk.data, name, refuse)
    monkeypatch.setattr(nltk, "download", refuse)
    _rouge._scorer.cache_clear()
    assert of_texts("rougeL", [("running dogs", "runs dogged")]) == 1.0  # run, dog


def test_rouge_knows_only_a_to_z_and_chrf_every_script() -> None:
    same = [("你好世界", "你好世界")]
    assert of_texts("rouge1", same) == 0.0
    assert of_texts("chrf", same) == 100.0


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [("yes", "yes", 1), (" yes\n", "yes", 1), ("Yes", "yes", 0), ("yes.", "yes", 0), ("", "", 1), ("", "yes", 0), ("e\u0301", "\u00e9", 1)],
)
def test_exact_match_minds_case_and_punctuation_but_not_outer_space_or_unicode_composition(
    text: str, reference: str, expected: float
) -> None:
    assert of_texts("exact_match", [(text, reference)]) == expected


def test_perplexity_and_bits_per_byte_weigh_by_tokens_and_bytes() -> None:
    outputs = [Output(nll_nats=6.0, num_tokens=3, num_bytes=12), Output(nll_nats=1.0, num_tokens=1, num_bytes=2)]
    assert value_of("perplexity", outputs, ["", ""]) == pytest.approx(math.exp(7 / 4))
    assert value_of("bits_per_byte", outputs, ["", ""]) == pytest.approx(7 / math.log(2) / 14)
    uniform = [Output(nll_nats=10 * math.log(256), num_tokens=10, num_bytes=10)]  # bytes as tokens, all equally likely
    assert value_of("perplexity", uniform, [""]) == pytest.approx(256)
    assert value_of("bits_per_byte", uniform, [""]) == pytest.approx(8)


def test_perplexity_overflows_to_infinity_and_nothing_scored_is_not_a_number() -> None:
    assert value_of("perplexity", [Output(nll_nats=1e6, num_tokens=1)], [""]) == math.inf
    assert math.isnan(value_of("perplexity", [Output(nll_nats=0.0)], [""]))
    assert math.isnan(value_of("bits_per_byte", [Output(nll_nats=0.0)], [""]))


# Conformance: what holds for every metric found, those of other packages too.

TEXTS = ["the first answer", "another reply of several words", "a third one", "the first answer", "yes"]
LABELS = [("a",), ("a", "b"), ("c",), ("b",), ("a", "c")]
TAGS = [("B-X", "I-X", "O"), ("O", "B-Y"), ("B-Y",), ("B-X", "O"), ("O", "B-X")]
NUMBERS = [1.0, 2.5, 4.0, 3.5, -1.0]
GRADES = [(1.0, 50.0), (2.0, None), (4.0, 10.0), (3.0, 80.0), (5.0, 20.0)]
CLASSES = tuple(dict.fromkeys(TEXTS))
ANSWERS = ["no", "yes", "yes", "no", "yes"]
HERE = EXAMPLE.origin
EXAMPLES: dict[str, list[Example]] = {
    "labels": [MultiLabelled("t", labels, HERE) for labels in LABELS],
    "tags": [Tagged(("w",) * len(tags), tags, HERE) for tags in TAGS],
    "span": [SpanQuestion("q", text, ((0, text),), HERE) for text in TEXTS],
    "scores": [Preference((), (Message("assistant", "a"),), (Message("assistant", "b"),), HERE)] * 5,
    "liked": [Unpaired((), (Message("assistant", "a"),), is_liked, HERE) for is_liked in (True, False, True, False, True)],
    "grades": [Graded((), (Message("assistant", "a"),), (("x", x), ("y", y)), HERE) for x, y in GRADES],
    "rewarded": [Completion("q", "a", HERE)] * 5,
    "instructions_followed": [Completion("q", "a", HERE)] * 5,
    "tool_calls_valid": [Chat((), HERE, ('{"name": "look", "parameters": {"type": "object"}}',))] * 5,
    "answers": [Labelled(question, label, HERE) for question, label in zip("aabbc", ANSWERS, strict=True)],
}


def sure_of(label: str, most: float) -> Output:
    rest = (1 - most) / (len(CLASSES) - 1)
    return Output(label=label, probabilities=tuple(most if name == label else rest for name in CLASSES), classes=CLASSES)


def _rewarded(reward: float) -> Output:
    return Output(text="a", rewarded=reward, held_out_reward=reward / 2, kl_nats=reward, num_written=round(10 + reward))


def judged(said: Sequence[float]) -> list[Output]:
    """What is said of answers that are right with these probabilities."""
    return [Output(label="yes" if p > 0.5 else "no", probabilities=(1 - p, p), classes=("no", "yes")) for p in said]


GOOD = {
    "answers": judged([0.1, 0.9, 0.8, 0.3, 0.7]),
    "labels": [Output(labels=labels) for labels in LABELS],
    "tags": [Output(tags=tags) for tags in TAGS],
    "number": [Output(number=number + 0.1 * (-1) ** at) for at, number in enumerate(NUMBERS)],
    "span": [Output(span=text) for text in TEXTS],
    "label": [Output(label=text) for text in TEXTS],
    "probabilities": [sure_of(text, 0.9) for text in TEXTS],
    "text": [Output(text=text) for text in TEXTS],
    "nll": [Output(nll_nats=0.1 * (i + 1), num_tokens=4, num_bytes=16) for i in range(5)],
    "masked": [Output(nll_nats=0.1 * (i + 1), num_tokens=4, num_bytes=16) for i in range(5)],
    "scores": [Output(scores=pair) for pair in [(1.0, 0.5), (0.2, -3.0), (4.0, 1.0), (0.0, -0.1), (2.0, 1.0)]],
    "liked": [Output(liked=score) for score in [1.0, -2.0, 0.5, -0.1, 3.0]],
    "grades": [Output(grades={"x": x + 0.1, "y": y or 0.0}) for x, y in GRADES],
    "rewarded": [_rewarded(reward) for reward in (0.9, 2.0, 1.5, 0.7, 3.0)],
    "json_valid": [Output(text=text) for text in ["1", '"a"', "[]", "{}", "null"]],
    "json_schema": [Output(text=text) for text in ["1", "2", "3", "-4", "0"]],
    "instructions_followed": [Output(text=text) for text in ["yes", "no", "a b", "c", "d."]],
    "tool_calls_valid": [Output(text='{"name": "look", "arguments": {}}')] * 5,
    "distinct_1": [Output(text="a b c d")] * 5,
    "distinct_2": [Output(text="a b c d")] * 5,
}
BAD = {
    "answers": judged([0.9, 0.1, 0.2, 0.7, 0.3]),
    "labels": [Output(labels=labels) for labels in [("b",), ("c",), (), ("a",), ("b",)]],
    "tags": [Output(tags=("O",) * len(tags)) for tags in TAGS],
    "number": [Output(number=number) for number in [3.0, -2.0, 0.0, 0.5, 4.0]],
    "span": [Output(span=text) for text in ["zzz", "", "0 1 2", "!!", "qqq qq"]],
    "label": [Output(label=text) for text in ["yes", "the first answer", "another reply", "a third one", "another reply"]],
    "probabilities": [sure_of(text, 0.8) for text in ["yes", "the first answer", "yes", "a third one", "a third one"]],
    "text": [Output(text=text) for text in ["zzz", "", "0 1 2", "!!", "qqq qq"]],
    "nll": [Output(nll_nats=9.0 + i, num_tokens=4, num_bytes=16) for i in range(5)],
    "masked": [Output(nll_nats=9.0 + i, num_tokens=4, num_bytes=16) for i in range(5)],
    "scores": [Output(scores=pair) for pair in [(0.5, 1.0), (-3.0, 0.2), (1.0, 4.0), (-0.1, 0.0), (1.0, 2.0)]],
    "liked": [Output(liked=score) for score in [-1.0, 2.0, -0.5, 0.1, -3.0]],
    "grades": [Output(grades={"x": 9.0 - x, "y": -(y or 0.0)}) for x, y in GRADES],
    "rewarded": [_rewarded(reward) for reward in (-0.9, 0.1, -1.5, 0.2, 0.3)],
    "json_valid": [Output(text=text) for text in ["x", "'a'", "[", "", "None"]],
    "json_schema": [Output(text=text) for text in ["1.5", '"2"', "[]", "", "x"]],
    "instructions_followed": [Output(text=text) for text in ["yes, it is", "", "a, b", "c", ","]],
    "tool_calls_valid": [
        Output(text=text) for text in ["", "look", "{", '{"name": "see", "arguments": {}}', '{"name": "look", "arguments": 3}']
    ],
    "distinct_1": [Output(text="a a a a")] * 5,
    "distinct_2": [Output(text="a b a b a")] * 5,
}
every_metric = pytest.mark.parametrize("name", registry.names("metric"))


@pytest.fixture
def metric(name: str, tmp_path: Path) -> Metric:
    """The metric; one that looks for a class is told one that some rows have, one of a schema where that is."""
    (tmp_path / "schema.json").write_text('{"type": "integer"}', encoding="utf-8")
    asked = {"prompt": "q", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    (tmp_path / "asked.jsonl").write_text(json.dumps(asked), encoding="utf-8")
    known = {"positive": "yes", "schema": str(tmp_path / "schema.json"), "instructions": str(tmp_path / "asked.jsonl")}
    taken = {option.name for option in registry.describe("metric", name).options}
    made: Metric = registry.create("metric", name, **{key: value for key, value in known.items() if key in taken})
    return made


def of(name: str, metric: Metric, *sides: dict[str, list[Output]]) -> Any:
    """What the metric makes of all rows of the sides, one after the other."""
    data = "answers" if isinstance(metric, QuestionMetric) else metric.needs
    references = {"number": [repr(number) for number in NUMBERS], "answers": ANSWERS}.get(data, TEXTS)
    examples = EXAMPLES.get(name, EXAMPLES.get(data, []))
    return np.concatenate([stats_of(metric, side.get(name, side[data]), references, examples) for side in sides])


@every_metric
def test_a_metric_prefers_the_better_outputs(name: str, metric: Metric) -> None:
    good, bad = (metric.value(of(name, metric, side)) for side in (GOOD, BAD))
    assert math.isfinite(good)
    assert math.isfinite(bad)
    assert good != bad
    assert metric.higher_is_better in (None, good > bad)


@every_metric
def test_a_metric_does_not_mind_the_order_of_rows(name: str, metric: Metric) -> None:
    stats_nk = of(name, metric, GOOD, BAD)
    shuffled = stats_nk[np.random.default_rng(0).permutation(len(stats_nk))]
    assert metric.value(shuffled) == pytest.approx(metric.value(stats_nk), abs=1e-12)
    assert metric.value(np.concatenate([stats_nk, stats_nk])) == pytest.approx(metric.value(stats_nk), abs=1e-9)


@every_metric
def test_a_metric_takes_one_row_and_a_proportion_is_the_mean_of_zeros_and_ones(name: str, metric: Metric) -> None:
    assert isinstance(metric, Metric)
    stats_nk = of(name, metric, GOOD, BAD)
    assert math.isfinite(metric.value(stats_nk[:1])) or name in (
        "pearson",
        "spearman",
        "liked_auc",
        "grade_spearman",
    )  # there is no correlation in one row, and nothing to be above
    if metric.is_proportion:
        assert set(stats_nk.ravel()) <= {0.0, 1.0}
        assert metric.value(stats_nk) == pytest.approx(float(stats_nk.mean()))


@every_metric
def test_a_metric_says_what_it_is(name: str) -> None:
    description = registry.describe("metric", name)
    assert description.title.endswith(".")
    assert description.doc.partition("\n\n")[2]
