"""Multiple choice: agreement by hand, ours against plain transformers, and lm-eval in its own environment."""

import json
from dataclasses import replace

import pytest
import torch
from model.tiny import tokenizer
from transformers import AutoModelForCausalLM

from benchmarks.environments import peer_python
from benchmarks.evaluation import LEGS, compare_scored
from benchmarks.legs.ours_evaluation import leg
from benchmarks.prepare_questions import questions_of
from benchmarks.questions import Question, Questions, Scored, agreement
from benchmarks.running import python
from tunesmith.core.types import Completion, Origin
from tunesmith.model.load import load

SCORED = Scored(((-1.0, -2.0), (-4.0, -3.0)), seconds=2.0, num_tokens=100, num_scored_tokens=10, peak_memory_bytes=1000, version="1")
FACTS = {"workload": {"title": "questions"}, "machine": {}}


@pytest.fixture
def questions(llama, tmp_path):
    torch.manual_seed(0)
    llama().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    asked = [Question((10, 11, 12), ((20,), (21, 22), (23, 24, 25), (26,))), Question((13, 14), ((30, 31), (32, 33), (34,), (35, 36)))]
    return Questions(str(tmp_path / "model"), (5, 6, 7, 8, 9), tuple(asked))


def _alone(questions):
    """Each choice after everything before it, with plain transformers."""
    model = AutoModelForCausalLM.from_pretrained(questions.model).eval()
    for one in questions.questions:
        for choice in one.choices:
            tokens = torch.tensor([*questions.shots, *one.question, *choice])
            with torch.no_grad():
                logprobs = model(tokens[None]).logits[0].log_softmax(-1)
            start = len(tokens) - len(choice)
            yield sum(float(logprobs[place - 1, tokens[place]]) for place in range(start, len(tokens)))


def test_tokens_are_counted_as_if_each_choice_were_read_alone(questions):
    assert questions.num_scored_tokens == 7 + 7
    assert questions.num_tokens == 4 * (5 + 3) + 4 * (5 + 2) + 14


def test_ours_equals_each_choice_read_alone(questions):
    assert [x for choices in leg(questions, "best").logprobs for x in choices] == pytest.approx(list(_alone(questions)), abs=1e-4)


def test_agreement_counts_other_choices_and_forgives_ties():
    assert agreement([SCORED], [replace(SCORED, logprobs=((-1.5, -2.0), (-4.0, -3.0)))]).passed
    other = agreement([SCORED, SCORED], [SCORED, replace(SCORED, logprobs=((-2.5, -2.0), (-4.0, -3.0)))])
    assert (other.passed, other.num_different, other.num_items, other.logprob_difference) == (False, 1, 2, 1.5)
    tie, swapped = replace(SCORED, logprobs=((-1.00001, -1.0),)), replace(SCORED, logprobs=((-1.0, -1.00001),))
    assert agreement([tie], [swapped]).passed
    assert not agreement([replace(SCORED, logprobs=((-1.001, -1.0),))], [swapped]).passed
    assert not agreement([SCORED], [replace(SCORED, logprobs=((float("nan"), -2.0), (-4.0, -3.0)))]).passed


def test_document_gives_ratios_where_all_choices_agree():
    slow = replace(SCORED, seconds=5.0, peak_memory_bytes=4000)
    measured = {one.name: [SCORED if one.program == "ours" else slow] for one in LEGS}
    document = compare_scored(measured, FACTS)
    assert document["passed"]
    assert document["peers"]["lm_eval_best"]["ratios"]["tokens_per_second"]["median"] == 2.5
    assert document["peers"]["lm_eval_best"]["ratios"]["peak_memory"]["median"] == 0.25
    measured["lm_eval_default"] = [replace(slow, logprobs=((-3.0, -2.0), (-4.0, -3.0)))]
    document = compare_scored(measured, FACTS)
    assert [peer["ratios"] for peer in document["peers"].values()] == [None, None]


def test_questions_have_four_different_choices_and_one_of_them_is_right(llama, tmp_path):
    llama().save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    words = "the cat sat on a mat dog ran good bad film".split()
    examples = [Completion(f"{a} {b}", f"{b} {a}", Origin("f", 1)) for a in words for b in words if a != b]
    model = load(str(tmp_path / "model"), need="lm")
    made = questions_of(model, examples, 20)
    assert made == questions_of(model, examples, 20)
    assert len(made.questions) == 20
    # "Function", ":", a, b, "Docstring", ":" of which this tokenizer knows a and b, asks for b, a
    assert len({one.choices.index(one.question[3:1:-1]) for one in made.questions}) > 1
    assert all(len(set(one.choices)) == 4 for one in made.questions)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["best", "default"])
def test_lm_eval_in_its_own_environment_chooses_the_same(questions, config, tmp_path):
    questions.write(tmp_path / "questions")
    (tmp_path / "result").mkdir()
    python(peer_python("lm_eval", print), "benchmarks.legs.lm_eval", str(tmp_path / "questions"), str(tmp_path / "result"), config)
    theirs = Scored.from_document(json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8")))
    found = agreement([leg(questions, config)], [theirs])
    assert found.passed
    assert found.logprob_difference < 1e-4
