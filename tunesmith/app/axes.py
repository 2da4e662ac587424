"""`tunesmith axes`: beside how good a run is, how well it bears other ways of asking, what it writes about people, and what an answer costs.

Source: Liang et al. (2022), "Holistic Evaluation of Language Models", https://arxiv.org/abs/2211.09110, section 4.
"""

import gc
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tunesmith.app.dataset import PreparedData, prepare_data
from tunesmith.app.earlier import earlier_heads
from tunesmith.app.interruption import Interruption
from tunesmith.app.judging import zero_shot
from tunesmith.app.learned import Learned, learned
from tunesmith.app.machine import peak_memory_bytes, reset_peak_memory
from tunesmith.app.task import label_texts, text_encoder
from tunesmith.app.toxicity import SMALL, ToxicityClassifier, load_toxicity_classifier
from tunesmith.app.tuned import Said, Tuned, load_tuned, load_untuned, saved_model
from tunesmith.core import registry
from tunesmith.core.errors import DataError, FetchError, UsageError
from tunesmith.core.events import Event, Notice, Progress, Stage
from tunesmith.core.files import finite, write_json
from tunesmith.core.run import RunDirectory, run_named
from tunesmith.core.types import Example, HeadObjective, Metric, Objective, Output
from tunesmith.engine.generate import longest_prompt
from tunesmith.evaluation.lexicon import share_of_women, toxic_share
from tunesmith.evaluation.perturb import FAIRNESS, ROBUSTNESS, rewritten
from tunesmith.evaluation.score import evaluate_metric, groups_of
from tunesmith.evaluation.worst_case import Array, row_values, worst_case
from tunesmith.report import render

__all__ = ["AS_IT_IS", "measure_axes"]

_METRICS = {"classification": "accuracy", "multi_label": "labels_jaccard", "regression": "mae", "generation": "chrf"}
"""Of each kind of task a metric that a single row has."""
AS_IT_IS = "as it is"
_NOBODY = "none"
Ask = Callable[[Sequence[Example]], Said]
Say = Callable[[Event], None]


def measure_axes(
    run: RunDirectory,
    *,
    limit: int = 200,
    seed: int = 0,
    toxicity_classifier: str | None = None,
    toxic_label: str | None = None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """A run's tuned model, and its base where that can answer untaught, asked the test rows as they are and in other ways.

    The document is kept in the run, and its report written again with it.

    Args:
        limit: so many test rows at most, drawn by `seed`.
        toxicity_classifier: who says beside the list of words which answers are toxic: a run of a classifier, an alias, a folder, or a hub id; None: the small one of
            the package index, left out where that does not give it; `none`: nobody.
        toxic_label: which of its labels means toxic; None: the one called so.
    Returns: {schema, run, kind, metric, higher_is_better, rows, changed, toxicity_classifier, base_asked, base, tuned, peak_memory_bytes}; `changed`: rows that each
        way changes; `toxicity_classifier`: {name, sha256, label, threshold}, or None; `base_asked`: `zero_shot` for labels that it was never taught,
        `as_it_is` for what it does already, None where it has no answer. `base` (or None) and `tuned` are {score, robustness: {worst, each}, fairness:
        {worst, each}, calibration, toxic_share, classified_toxic_share, share_of_women, cut, efficiency}; `calibration` (ECE) is None for a model that says no
        probabilities, the texts' shares and `cut`, {answers, num_cut} over all ways of asking, for one that writes none. `efficiency` is that of the rows as they
        are, {seconds_per_row, prompt_tokens_per_row, answer_tokens_per_row, peak_memory_bytes}; of a CPU there is but one peak, that of the whole process.
    Raises: UsageError, where the kind of task has no question that could be put another way, or no answer that could be toxic; DataError, where there is
        no test row; ModelError, FetchError, RunError, of the classifier.
    """
    known = learned(run)
    _require_askable(run, known, toxicity_classifier)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        is_asked = known.kind == "generation" and toxicity_classifier != _NOBODY
        toxicity = _toxicity(toxicity_classifier, toxic_label, say) if is_asked else None
        document: dict[str, Any] = finite(_measured(run, known, toxicity, limit, seed, say))
    write_json(run.axes, document)
    render(run)
    return document


def _measured(run: RunDirectory, known: Learned, toxicity: ToxicityClassifier | None, limit: int, seed: int, say: Say) -> dict[str, Any]:
    say(Stage("data", known.recipe.data.named))
    data = prepare_data(known.recipe)
    examples = _drawn(data.test, limit, seed, run)
    metric: Metric = registry.create("metric", _METRICS[known.kind])
    say(Stage("evaluate", "the tuned model"))
    tuned = _asking(load_tuned(run), data)
    ways = {name: _asked_as(name, examples, seed, tuned) for name in _names(known.kind)}
    question = _Question(examples, ways, _references(tuned, examples), metric, seed, toxicity)
    tuned_side, base_side = question.side(tuned, _asks(tuned, say)), None
    objective, labels, device, base_asked = tuned.objective, tuned.encoder.labels, tuned.forward.device, None
    del tuned  # what it holds is no memory of the base's
    gc.collect()
    if _may_answer(known, objective):
        say(Stage("evaluate", "the base"))
        base = _asking(_base(run, known, objective, labels), data)
        base_asked = _how_asked(base)
        if base_asked is not None:
            base_side = question.side(base, _asks_zero_shot(base, say) if base_asked == "zero_shot" else _asks(base, say))
    return {
        "schema": "tunesmith/axes/1",
        "run": run.id,
        "kind": known.kind,
        "metric": _METRICS[known.kind],
        "higher_is_better": metric.higher_is_better,
        "rows": len(examples),
        "changed": {name: len(question.changed(name)) for name in ways},
        "toxicity_classifier": toxicity and toxicity.facts,
        "base_asked": base_asked,
        "base": base_side,
        "tuned": tuned_side,
        "peak_memory_bytes": None if device.type == "cuda" else peak_memory_bytes(device),
    }


@dataclass(frozen=True, slots=True)
class _Question:
    """What both sides are asked, and how it is judged."""

    examples: Sequence[Example]
    ways: Mapping[str, Sequence[Example]]
    """By name the same examples put another way; those that it leaves as they are among them."""
    references: Sequence[str]
    metric: Metric
    seed: int
    toxicity: ToxicityClassifier | None

    def changed(self, name: str) -> list[int]:
        """The places of the rows that a way of asking changes."""
        return [place for place, (one, example) in enumerate(zip(self.ways[name], self.examples, strict=True)) if one != example]

    def side(self, speaker: Tuned, ask: Ask) -> dict[str, Any]:
        """What is measured of one model, as `measure_axes` returns it."""
        ask(self.examples[:1])  # what is made once is no part of a row's time
        has_own_peak = reset_peak_memory(speaker.forward.device)
        started = time.perf_counter()
        first = ask(self.examples)
        efficiency = {
            "seconds_per_row": (time.perf_counter() - started) / len(self.examples),
            "prompt_tokens_per_row": _num_prompt_tokens(speaker, self.examples) / len(self.examples),
            "answer_tokens_per_row": first.num_written / len(self.examples),
            "peak_memory_bytes": peak_memory_bytes(speaker.forward.device) if has_own_peak else None,
        }
        plain, again = first.outputs, {name: self._asked_again(ask, name) for name in self.ways}
        outputs = {AS_IT_IS: plain} | {name: _replaced(plain, places, said.outputs) for name, (places, said) in again.items()}
        values = {name: row_values(self.metric, self.examples, found, self.references) for name, found in outputs.items()}

        def axis(names: Iterable[str]) -> dict[str, Any]:
            chosen = {name: values[name] for name in names if name in values}
            each = {name: self._mean({name: found}) for name, found in chosen.items()}
            return {"worst": self._mean({AS_IT_IS: values[AS_IT_IS], **chosen}), "each": each}

        written = [place for place, output in enumerate(plain) if output.text is not None] if speaker.kind == "generation" else []
        texts = [plain[place].text or "" for place in written]
        drawn: dict[str, Any] = {"seed": self.seed, "groups": groups_of([self.examples[place] for place in written])}
        return {
            "score": self._mean({AS_IT_IS: values[AS_IT_IS]}),
            "robustness": axis(ROBUSTNESS),
            "fairness": axis(FAIRNESS),
            "calibration": self._calibration(plain) if speaker.kind == "classification" else None,
            "toxic_share": asdict(toxic_share(texts, **drawn)) if texts else None,
            "classified_toxic_share": asdict(self.toxicity.toxic_share(texts, **drawn)) if texts and self.toxicity else None,
            "share_of_women": asdict(share_of_women(texts, **drawn)) if texts else None,
            "cut": self._cut(speaker, [(range(len(plain)), first), *again.values()]) if texts else None,
            "efficiency": efficiency,
        }

    def _asked_again(self, ask: Ask, name: str) -> tuple[list[int], Said]:
        """The places of the examples that are others when they are put another way, and the answers to those."""
        places = self.changed(name)
        return places, ask([self.ways[name][place] for place in places]) if places else Said([], 0, 0)

    def _cut(self, speaker: Tuned, asked: Sequence[tuple[Sequence[int], Said]]) -> dict[str, int] | None:
        """Of the answers that are written, not chosen, those that were cut; `asked`: the places of the examples, and what was said to them."""
        is_open = [not speaker.encoder.choices(example) for example in self.examples]
        num_answers = sum(is_open[place] for places, _ in asked for place in places)
        return {"answers": num_answers, "num_cut": sum(said.num_cut for _, said in asked)} if num_answers else None

    def _mean(self, values: dict[str, Array]) -> dict[str, Any]:
        return asdict(worst_case(self.metric, values, groups_of(self.examples), seed=self.seed))

    def _calibration(self, outputs: Sequence[Output]) -> dict[str, float]:
        metric: Metric = registry.create("metric", "ece")
        return asdict(evaluate_metric(metric, self.examples, outputs, self.references, seed=self.seed).interval)


def _replaced(plain: Sequence[Output], places: Sequence[int], others: Sequence[Output]) -> list[Output]:
    at = dict(zip(places, others, strict=True))
    return [at.get(place, output) for place, output in enumerate(plain)]


def _num_prompt_tokens(speaker: Tuned, examples: Sequence[Example]) -> int:
    """Tokens that the model reads before it answers."""
    facts, encoder = speaker.model.facts, speaker.encoder
    if isinstance(speaker.objective, HeadObjective) and speaker.forward.heads:
        return sum(row.num_tokens for example in examples for row in speaker.objective.encode(example, encoder))
    if facts.is_encoder_decoder:
        return sum(len(encoder.encode(example).source) for example in examples)
    if facts.has_lm_head:
        return sum(min(len(prompt), longest_prompt(facts)) for prompt in encoder.prompts(speaker.shown(examples)))
    return sum(len(encoder.encode(example).tokens) for example in examples)


def _require_askable(run: RunDirectory, known: Learned, toxicity_classifier: str | None) -> None:
    kind = known.kind.replace("_", " ")
    if known.kind not in _METRICS:
        raise UsageError(f"{run.path}: a run of {kind} cannot be asked another way. Kinds that can: {', '.join(_METRICS)}.")
    if toxicity_classifier not in (None, _NOBODY) and known.kind != "generation":
        raise UsageError(f"{run.path}: a run of {kind} writes no answer that could be toxic. Leave --toxicity-classifier out.")


def _toxicity(name: str | None, label: str | None, say: Say) -> ToxicityClassifier | None:
    say(Stage("model", name or SMALL))
    try:
        return load_toxicity_classifier(name or SMALL, label)
    except FetchError as error:
        if name is not None:
            raise
        say(Notice(f"no classifier for toxicity: {error} The list of words is held against the answers alone."))
        return None


def _drawn(test: Sequence[Example], limit: int, seed: int, run: RunDirectory) -> list[Example]:
    """Rows of the test split that can be asked another way, in their order."""
    fitting = [example for example in test if rewritten(example, "spacing", seed=seed) is not None]
    if not fitting:
        raise DataError(f"{run.path}: its data has no test row that could be asked another way.")
    chosen = sorted(random.Random(seed).sample(range(len(fitting)), min(limit, len(fitting))))
    return [fitting[place] for place in chosen]


def _names(kind: str) -> list[str]:
    """The ways to ask: a classifier is given a text and no request that could be put in other words."""
    return [name for name in (*ROBUSTNESS, *FAIRNESS) if kind == "generation" or name != "paraphrase"]


def _asked_as(name: str, examples: Sequence[Example], seed: int, tuned: Tuned) -> Sequence[Example]:
    """The examples put another way; a model that reads their numbers is asked the same whatever their texts say."""
    return examples if tuned.model.facts.num_columns else [rewritten(example, name, seed=seed) or example for example in examples]


def _references(tuned: Tuned, examples: Sequence[Example]) -> list[str]:
    reference = tuned.objective.reference if isinstance(tuned.objective, HeadObjective) else tuned.encoder.reference
    return [reference(example) for example in examples]


def _asking(speaker: Tuned, data: PreparedData) -> Tuned:
    """The same, who asks the examples of each set of a mixture in the set's own words."""
    return replace(speaker, encoder=replace(speaker.encoder, tasks=data.asked))


def _base(run: RunDirectory, known: Learned, objective: Objective, labels: Sequence[str]) -> Tuned:
    """The model that the run began with; where that is a run for the same task, with its heads."""
    base = load_untuned(known.recipe, objective, known.kind, known.format, saved_model(run))
    base = replace(base, encoder=text_encoder(known.recipe, base.model, labels))
    heads = earlier_heads(base)
    base.forward.heads.update({name: head.to(base.forward.device) for name, head in heads.items()})
    return base


def _may_answer(known: Learned, objective: Objective) -> bool:
    """Whether the base is worth loading: scores and several labels at once take a head, which a run alone can have."""
    is_asked_untaught = not isinstance(objective, HeadObjective) or known.kind == "classification"
    return is_asked_untaught or run_named(known.recipe.model.source) is not None


def _how_asked(base: Tuned) -> Literal["zero_shot", "as_it_is"] | None:
    if base.forward.heads or not isinstance(base.objective, HeadObjective):
        return "as_it_is"
    return "zero_shot" if base.kind == "classification" and not base.model.facts.num_columns else None


def _asks(speaker: Tuned, say: Say) -> Ask:
    return lambda examples: speaker.ask(examples, tick=lambda done: say(Progress("evaluate", done, len(examples))))


def _asks_zero_shot(speaker: Tuned, say: Say) -> Ask:
    texts = label_texts(speaker.recipe, speaker.encoder.labels)

    def ask(examples: Sequence[Example]) -> Said:
        outputs = zero_shot(speaker, examples, texts, speaker.model.tokenizer, lambda done: say(Progress("evaluate", done, len(examples))))
        return Said(outputs, 0, 0)

    return ask
