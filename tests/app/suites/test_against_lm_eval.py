"""The same weights, the same tasks: what our engine says is what lm-eval's own transformers backend says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from real_data import real_data
from suite_files import byte_model, write_suites

from tunesmith.app.suites.asking import Answered, ask
from tunesmith.app.suites.choosing import choose
from tunesmith.app.suites.language_model import EngineLM
from tunesmith.app.suites.tasks import allotted, load, sampled
from tunesmith.app.tuned import load_base
from tunesmith.model.source import Request, resolve
from tunesmith.recipe import from_mapping

TIE_NATS = 1e-4
NATS = 1e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_model(tmp_path_factory.mktemp("models") / "bytes", chat=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suites(tmp_path_factory.mktemp("data"))


def ours(model: str) -> EngineLM:
    return EngineLM(load_base(from_mapping({"model": model, "data": "none"}, name="test")), model, lambda event: None)


def theirs(folder: Path, **options: Any) -> HFLM:
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", **options)


def both(
    engine: EngineLM, backend: HFLM, suite: str, data: Path, *, limit: int | None = None, chat: bool = False, **config: Any
) -> tuple[Mapping[str, Answered], Mapping[str, Any]]:
    """What both say to the same rows of a suite: ours, and lm-eval's results with its samples."""
    loaded = load(choose([suite])[0], data, None)
    for task in loaded.tasks.values():
        for key, value in config.items():
            task.set_config(key, value, update=True)
    rows = {task: sampled(task, loaded.sizes[task], count) for task, count in allotted(loaded, limit).items()}
    answered = ask(engine, loaded, rows, with_chat_template=chat)
    asked = {name: task for name, task in loaded.tasks.items() if rows[name]}
    for task in asked.values():
        task.set_fewshot_seed(1234)
    results = evaluate(
        lm=backend,
        task_dict={"tasks": asked},
        samples=rows,
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    assert results is not None
    return answered, results


def require_equal_likelihoods(answered: Mapping[str, Answered], results: Mapping[str, Any]) -> int:
    """Hold log-likelihoods, greedy matches and choices of both against each other. Returns: the number of likelihoods."""
    count = 0
    for task, one in answered.items():
        samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
        assert [sample["doc_id"] for sample in samples] == list(one.rows)
        for example, sample in zip(one.examples, samples, strict=True):
            said, expected = _pairs(example["said"]), _pairs(sample["resps"])
            for (nats, greedy), (wanted, wanted_greedy) in zip(said, expected, strict=True):
                assert nats == pytest.approx(wanted, abs=NATS)
                assert greedy == wanted_greedy
            assert _same_choice([nats for nats, _ in said], [nats for nats, _ in expected])
            count += len(said)
    return count


def _pairs(responses: Sequence[Sequence[Any]]) -> list[tuple[float, bool]]:
    return [(float(one[0][0]), bool(one[0][1])) for one in responses]


def _same_choice(said: Sequence[float], expected: Sequence[float]) -> bool:
    mine, other = max(range(len(said)), key=said.__getitem__), max(range(len(expected)), key=expected.__getitem__)
    return mine == other or (said[mine] - said[other] <= TIE_NATS and expected[other] - expected[mine] <= TIE_NATS)


def require_equal_metrics(answered: Mapping[str, Answered], results: Mapping[str, Any]) -> None:
    for task, one in answered.items():
        for key, items in one.items.items():
            metric, _, part = key.partition(",")
            assert one.aggregations[key](items) == pytest.approx(results["results"][task][f"{metric},{part or 'none'}"], abs=NATS, rel=NATS)


@pytest.mark.parametrize("suite", ["mmlu", "lambada", "truthfulqa", "superglue", "glue"])
def test_likelihoods_and_choices_are_those_of_its_transformers_backend(suite: str, folder: Path, data: Path) -> None:
    answered, results = both(ours(str(folder)), theirs(folder, batch_size=3), suite, data)
    assert require_equal_likelihoods(answered, results) > 5
    require_equal_metrics(answered, results)


def test_prompts_written_by_the_chat_template_are_the_same(folder: Path, data: Path) -> None:
    answered, results = both(ours(str(folder)), theirs(folder), "mmlu", data, limit=4, chat=True)
    assert require_equal_likelihoods(answered, results) == 16


@pytest.mark.parametrize("suite", ["gsm8k", "gsm8k_cot", "bbh", "bbh_fewshot"])
def test_written_answers_are_those_of_its_transformers_backend(suite: str, folder: Path, data: Path) -> None:
    until = {"max_gen_toks": 24, "until": ["\n\n", "Q", "e"]}  # a model of random weights ends nothing by itself
    answered, results = both(ours(str(folder)), theirs(folder), suite, data, generation_kwargs=until)
    for task, one in answered.items():
        samples = sorted(results["samples"][task], key=lambda sample: (sample["filter"], sample["doc_id"]))[: len(one.rows)]
        assert [example["said"] for example in one.examples] == [sample["resps"] for sample in samples]
    assert len({str(example["said"]) for one in answered.values() for example in one.examples}) > 1
    require_equal_metrics(answered, results)


def test_what_is_too_long_loses_its_beginning_as_in_its_transformers_backend(tmp_path: Path) -> None:
    folder = byte_model(tmp_path / "short", max_length=48)
    engine, backend = ours(str(folder)), theirs(folder)
    long = "one two three four five six seven eight nine ten eleven twelve"
    pairs = [(long, " and so on"), (long, " thirteen"), ("short", " text"), ("", "no context at all"), ("ends with spaces  ", "here")]
    pairs.append(("x", "y" * 48))
    asked = [Instance("loglikelihood", {}, pair, 0, ("made", 0, 1)) for pair in pairs]
    for (nats, greedy), (wanted, wanted_greedy) in zip(
        engine.loglikelihood(asked), backend.loglikelihood(asked, disable_tqdm=True), strict=True
    ):
        assert nats == pytest.approx(wanted, abs=NATS)
        assert greedy == wanted_greedy
    assert engine.num_prompts_cut["made"] == 2
    texts = [Instance("loglikelihood_rolling", {}, (text,), 0, ("made", 0, 1)) for text in (f"{long} {long} {long}", "short")]
    assert engine.loglikelihood_rolling(texts) == pytest.approx(backend.loglikelihood_rolling(texts, disable_tqdm=True), abs=NATS)
    writes = [Instance("generate_until", {}, (text, {"until": ["q"], "max_gen_toks": 9}), 0, ("made", 0, 1)) for text in (long, "short")]
    assert engine.generate_until(writes) == backend.generate_until(writes, disable_tqdm=True)
    assert engine.num_answers_cut["made"] == 2
    assert engine.num_prompts_cut["made"] == 3


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.parametrize(("suite", "needs", "limit"), [("mmlu", "mmlu", 20), ("lambada", "lambada", 40)])
def test_smollm2_chooses_what_it_chooses_in_its_transformers_backend(suite: str, needs: str, limit: int) -> None:
    data, name = real_data(needs).parent, "smollm2-135m-instruct"
    answered, results = both(ours(name), theirs(resolve(Request(name)).folder, batch_size=4), suite, data, limit=limit)
    assert require_equal_likelihoods(answered, results) >= limit
    require_equal_metrics(answered, results)


@pytest.mark.slow
@pytest.mark.embedded
def test_smollm2_writes_what_it_writes_in_its_transformers_backend() -> None:
    data, name = real_data("bbh").parent, "smollm2-135m-instruct"
    kwargs = {"max_gen_toks": 32}
    answered, results = both(ours(name), theirs(resolve(Request(name)).folder), "bbh_fewshot", data, limit=9, generation_kwargs=kwargs)
    said = {(task, example["row"]): example["said"][0][0] for task, one in answered.items() for example in one.examples}
    expected = {(task, sample["doc_id"]): sample["resps"][0][0] for task in answered for sample in results["samples"][task]}
    assert said == expected
    require_equal_metrics(answered, results)
