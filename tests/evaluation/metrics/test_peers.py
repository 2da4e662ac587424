"""Metrics against the reference implementation of each, on a thousand random cases and on published examples."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import sacrebleu
import scipy.stats
import seqeval.metrics as seqeval
from lm_eval.tasks.super_glue.record.t5_utils import normalize_squad, squad_em_agg, squad_f1_agg
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics.sequence_labeling import get_entities
from sklearn import config_context
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from tests.evaluation.metrics.made import HERE, of_labels, of_probabilities, of_texts, value_of
from tunesmith.core import registry
from tunesmith.core.types import MultiLabelled, Output, Rated, SpanQuestion, Tagged

CASES = 1000
WORDS = "a the The cat cats sat, on mat. running run naïve 你好 42 don't U.S. !".split()


def drawn_text(rng: np.random.Generator, longest: int = 9) -> str:
    """Words in any order, now and then none, or a line break between them."""
    words = rng.choice(WORDS, rng.integers(0, longest)).tolist()
    return ("\n" if rng.random() < 0.2 else " ").join(words)


def near(rng: np.random.Generator, text: str) -> str:
    """The text with some words changed or left out."""
    words = [str(rng.choice(WORDS)) if rng.random() < 0.3 else word for word in text.split() if rng.random() < 0.85]
    return " ".join(words)


def drawn_corpus(rng: np.random.Generator) -> tuple[list[str], list[list[str]]]:
    """A few answers, and for each as many references."""
    size, number = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    references = [[drawn_text(rng) for _ in range(number)] for _ in range(size)]
    return [near(rng, str(rng.choice(row))) if rng.random() < 0.8 else drawn_text(rng) for row in references], references


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_bleu_and_chrf_are_sacrebleus_with_one_reference_and_with_several(name: str) -> None:
    rng = np.random.default_rng(1)
    peer = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name]
    for _ in range(CASES):
        texts, references = drawn_corpus(rng)
        expected = peer(texts, [list(stream) for stream in zip(*references, strict=True)])
        assert of_texts(name, texts, references) == pytest.approx(expected.score, abs=1e-9)


def test_bleus_details_are_sacrebleus_precisions_and_brevity_penalty() -> None:
    rng, metric = np.random.default_rng(2), registry.create("metric", "bleu")
    for _ in range(CASES):
        texts, references = drawn_corpus(rng)
        expected = sacrebleu.corpus_bleu(texts, [list(stream) for stream in zip(*references, strict=True)])
        stats = [sacrebleu_stats(metric, text, row) for text, row in zip(texts, references, strict=True)]
        found = metric.details(np.array(stats))
        assert [found[f"precision_{order}"] for order in (1, 2, 3, 4)] == pytest.approx(expected.precisions)
        assert found["brevity_penalty"] == pytest.approx(expected.bp)


def sacrebleu_stats(metric: object, text: str, references: Sequence[str]) -> tuple[float, ...]:
    from tunesmith.core.types import Completion

    first, *others = references
    found: tuple[float, ...] = metric.stats(Completion("", first, HERE, tuple(others)), Output(text=text), first)  # type: ignore[attr-defined]
    return found


def test_papinenis_examples_have_the_published_precisions() -> None:
    # Papineni et al. (2002), section 2.1: examples 1 and 2, in lower case and without punctuation, as counted there
    metric = registry.create("metric", "bleu")
    references = [
        "it is a guide to action that ensures that the military will forever heed party commands",
        "it is the guiding principle which guarantees the military forces always being under the command of the party",
        "it is the practical guide for the army always to heed the directions of the party",
    ]
    first = "it is a guide to action which ensures that the military always obeys the commands of the party"
    second = "it is to insure the troops forever hearing the activity guidebook that party direct"

    def precisions(text: str, true: Sequence[str]) -> tuple[float, float]:
        found = metric.details(np.array([sacrebleu_stats(metric, text, true)]))
        return found["precision_1"] / 100, found["precision_2"] / 100

    assert precisions(first, references) == pytest.approx((17 / 18, 10 / 17))
    assert precisions(second, references) == pytest.approx((8 / 14, 1 / 13))
    repeated = precisions("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"])
    assert repeated[0] == pytest.approx(2 / 7)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_rouge_is_rouge_scores_best_over_the_references(name: str) -> None:
    rng, scorer = np.random.default_rng(3), RougeScorer([name], use_stemmer=True)
    for _ in range(CASES):
        texts, references = drawn_corpus(rng)
        expected = [scorer.score_multi(row, text)[name].fmeasure for text, row in zip(texts, references, strict=True)]
        assert of_texts(name, texts, references) == pytest.approx(np.mean(expected), abs=1e-12)


def test_rouge_lsum_reads_line_by_line_worked_by_hand() -> None:
    # two sentences the other way round: both lines are found whole, while one common subsequence holds one of them
    text, reference = "dogs bark\ncats purr", "cats purr\ndogs bark"
    assert of_texts("rougeLsum", [text], [[reference]]) == 1.0
    assert of_texts("rougeL", [text], [[reference]]) == 0.5


def squad_scores(said: str, true: Sequence[str]) -> tuple[float, float]:
    """F1 score and exact match of SQuAD's script, as lm-eval has it; in version 2.0 an answer of no words is right where a true one has none."""
    if not normalize_squad(said):
        return (float("" in map(normalize_squad, true)),) * 2
    items = [(said, f"row_{one}") for one in true]
    return float(squad_f1_agg(items)), float(squad_em_agg(items))


def test_answers_are_compared_as_by_squads_script() -> None:
    rng = np.random.default_rng(4)
    for _ in range(CASES):
        true = [drawn_text(rng) for _ in range(int(rng.integers(1, 4)))]
        text = near(rng, true[0]) if rng.random() < 0.5 else drawn_text(rng)
        f1, exact = squad_scores(text, true)
        question = SpanQuestion("asked", "context", tuple((0, one) for one in true), HERE)
        assert of_texts("token_f1", [text], [true]) == pytest.approx(f1)
        assert of_texts("normalized_exact_match", [text], [true]) == exact
        assert value_of("squad_f1", [Output(span=text)], [""], [question]) == pytest.approx(f1)
        assert value_of("squad_exact_match", [Output(span=text)], [""], [question]) == exact


def test_token_f1_worked_by_hand() -> None:
    # "cat sat" of "cat sat down": 2 of 2 words are right, 2 of 3 found
    assert of_texts("token_f1", ["The cat sat!"], [["a dog", "Cat sat down."]]) == pytest.approx(2 * 2 / (2 + 3))


def test_exact_match_takes_any_of_several_references() -> None:
    assert of_texts("exact_match", ["yes", "no", "maybe"], [["yes"], ["yes", "no"], ["yes", "no"]]) == pytest.approx(2 / 3)


def test_normalized_exact_match_forgives_case_punctuation_and_articles_of_any_reference() -> None:
    references = [["Paris"], ["nine", "The Nile."], ["an apple"], ["Ann"]]
    assert of_texts("normalized_exact_match", ["paris!", "the nile", "apples", "an"], references) == 0.5
    assert of_texts("exact_match", ["paris!", "the nile", "apples", "an"], references) == 0


def test_an_answer_contains_a_reference_word_for_word_whatever_stands_around_it() -> None:
    said = ["It raises a TypeError.", "The type is an error.", "the old city, and the Nile", "TypeErrors", ""]
    references = [["TypeError"], ["TypeError"], ["nine", "city and Nile"], ["TypeError"], ["TypeError"]]
    assert [of_texts("contains_answer", [text], [true]) for text, true in zip(said, references, strict=True)] == [1, 0, 1, 0, 0]
    assert of_texts("contains_answer", ["Write -> there.", "Write it."], [["->"], ["->"]]) == 0.5


@pytest.mark.filterwarnings("ignore")
@config_context(skip_parameter_validation=True)
def test_metrics_of_labels_are_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    for _ in range(CASES):
        size, classes = int(rng.integers(2, 30)), int(rng.integers(2, 6))
        true = rng.integers(classes, size=size)
        said = np.where(rng.random(size) < 0.5, true, rng.integers(classes + 1, size=size))
        rows = [str(one) for one in true], [str(one) for one in said]
        assert of_labels("accuracy", *rows) == pytest.approx(sklearn_metrics.accuracy_score(true, said))
        assert of_labels("balanced_accuracy", *rows) == pytest.approx(sklearn_metrics.balanced_accuracy_score(true, said))
        assert of_labels("macro_f1", *rows) == pytest.approx(sklearn_metrics.f1_score(true, said, average="macro", zero_division=0.0))
        assert of_labels("mcc", *rows) == pytest.approx(sklearn_metrics.matthews_corrcoef(true, said), abs=1e-12)


def drawn_probabilities(rng: np.random.Generator) -> tuple[list[str], "np.ndarray[tuple[int, int], np.dtype[np.float64]]", list[str]]:
    size, number = int(rng.integers(1, 60)), int(rng.integers(2, 6))
    classes = [f"class {one}" for one in range(number)]
    probabilities = rng.dirichlet(np.full(number, 0.5), size)
    return classes, probabilities, [classes[rng.choice(number, p=row)] for row in probabilities]


@config_context(skip_parameter_validation=True)
def test_brier_is_scikit_learns_over_all_classes() -> None:
    rng = np.random.default_rng(6)
    for _ in range(CASES):
        classes, probabilities, true = drawn_probabilities(rng)
        expected = sklearn_metrics.brier_score_loss(true, probabilities, labels=classes, scale_by_half=False)
        assert of_probabilities("brier", classes, probabilities, true) == pytest.approx(expected)


def test_briers_own_ten_forecasts_of_rain_score_0_19() -> None:
    rain = [0.7, 0.9, 0.8, 0.4, 0.2, 0.0, 0.0, 0.0, 0.0, 0.1]  # Brier (1950), table 1
    fell = ["dry", "rain", "rain", "rain", "dry", "dry", "dry", "dry", "dry", "dry"]
    assert of_probabilities("brier", ["rain", "dry"], [(p, 1 - p) for p in rain], fell) == pytest.approx(0.19)


@config_context(skip_parameter_validation=True)
def test_ece_is_the_weighted_gap_of_scikit_learns_calibration_curve() -> None:
    rng = np.random.default_rng(7)
    for _ in range(CASES):
        classes, probabilities, true = drawn_probabilities(rng)
        sure = probabilities.max(axis=1)
        right = np.array([classes[place] for place in probabilities.argmax(axis=1)]) == np.array(true)
        with warnings.catch_warnings(action="ignore"):
            share_right, mean_sure = calibration_curve(right, sure, n_bins=10)
        weights = np.histogram(sure, bins=10, range=(0, 1))[0]
        expected = (np.abs(share_right - mean_sure) * weights[weights > 0]).sum() / len(sure)
        assert of_probabilities("ece", classes, probabilities, true) == pytest.approx(expected, abs=1e-12)


def test_ece_worked_by_hand() -> None:
    rows = [(0.9, 0.1), (0.85, 0.15), (0.6, 0.4), (0.55, 0.45)]  # two bins: 0.8-0.9 with one of two right, 0.5-0.6 with both right
    found = of_probabilities("ece", ["a", "b"], rows, ["a", "b", "a", "a"])
    assert found == pytest.approx((2 * abs(0.875 - 0.5) + 2 * abs(0.575 - 1.0)) / 4)


@config_context(skip_parameter_validation=True)
def test_metrics_of_numbers_are_scipys_and_scikit_learns() -> None:
    rng = np.random.default_rng(8)
    for _ in range(CASES):
        size = int(rng.integers(3, 30))
        true = rng.integers(0, 6, size=size).astype(float)
        said = (0.3 * true + rng.normal(size=size)).round(1)
        if np.ptp(true) == 0 or np.ptp(said) == 0:
            continue
        rows = [Output(number=float(one)) for one in said], [repr(float(one)) for one in true], [Rated("t", one, HERE) for one in true]
        assert value_of("pearson", *rows) == pytest.approx(scipy.stats.pearsonr(true, said).statistic, abs=1e-12)
        assert value_of("spearman", *rows) == pytest.approx(scipy.stats.spearmanr(true, said).statistic, abs=1e-12)
        assert value_of("rmse", *rows) == pytest.approx(sklearn_metrics.root_mean_squared_error(true, said))
        assert value_of("mae", *rows) == pytest.approx(sklearn_metrics.mean_absolute_error(true, said))


@pytest.mark.filterwarnings("ignore")
@config_context(skip_parameter_validation=True)
def test_metrics_of_many_labels_are_scikit_learns() -> None:
    rng, classes = np.random.default_rng(9), ["a", "b", "c", "d"]
    for _ in range(CASES):
        true_nc, said_nc = (rng.random((2, int(rng.integers(2, 12)), 4)) < 0.4).astype(int)
        true, said = ([tuple(c for c, has in zip(classes, row, strict=True) if has) for row in rows] for rows in (true_nc, said_nc))
        rows = [Output(labels=one) for one in said], [""] * len(true), [MultiLabelled("t", one, HERE) for one in true]
        if true_nc.any() or said_nc.any():
            assert value_of("labels_micro_f1", *rows) == pytest.approx(sklearn_metrics.f1_score(true_nc, said_nc, average="micro"))
        assert value_of("labels_exact_match", *rows) == pytest.approx(sklearn_metrics.accuracy_score(true_nc, said_nc))
        jaccard = sklearn_metrics.jaccard_score(true_nc, said_nc, average="samples", zero_division=1.0)
        assert value_of("labels_jaccard", *rows) == pytest.approx(jaccard)


def drawn_tags(rng: np.random.Generator, size: int, prefixes: str) -> list[str]:
    """Tags in any order, so that many begin nothing, or end what has not begun."""
    known = ["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in ("LOC", "PER"))]
    return [str(tag) for tag in rng.choice(known, size)]


@pytest.mark.parametrize("prefixes", ["BI", "IE", "BIES"])
def test_entity_f1_and_tag_accuracy_are_seqevals_of_malformed_tags_too(prefixes: str) -> None:
    rng = np.random.default_rng(10)
    for _ in range(CASES):
        true = [drawn_tags(rng, int(size), prefixes) for size in rng.integers(1, 12, size=int(rng.integers(1, 4)))]
        said = [[tag if rng.random() < 0.7 else drawn_tags(rng, 1, prefixes)[0] for tag in tags] for tags in true]
        rows = (
            [Output(tags=tuple(tags)) for tags in said],
            [""] * len(true),
            [Tagged(("w",) * len(tags), tuple(tags), HERE) for tags in true],
        )
        assert value_of("tag_accuracy", *rows) == pytest.approx(seqeval.accuracy_score(true, said))
        if get_entities(true) or get_entities(said):
            assert value_of("entity_f1", *rows) == pytest.approx(seqeval.f1_score(true, said, zero_division=0))
