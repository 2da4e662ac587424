"""Multiple choice: agreement by hand, ours against plain transformers and lm-eval, and lm-eval in its own environment."""

import json
from dataclasses import replace

import pytest
import torch
from suite_files import byte_model, write_suites
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks import prepare_questions
from benchmarks.environments import peer_python
from benchmarks.evaluation import LEGS, compare_scored
from benchmarks.legs import lm_eval
from benchmarks.legs.ours_evaluation import leg
from benchmarks.prepare_questions import docstrings, mmlu
from benchmarks.questions import Question, Questions, Scored, agreement
from benchmarks.running import python

SCORED = Scored(((-1.0, -2.0), (-4.0, -3.0)), seconds=2.0, num_tokens=100, num_scored_tokens=10, peak_memory_bytes=1000, version="1")
FACTS = {"workload": {"title": "questions"}, "machine": {}}


@pytest.fixture
def questions(tmp_path):
    """Choices of one token, which lm-eval's backend reads off one pass, and longer ones."""
    asked = [Question("Shots.\n\nWhat? A", ("B", "C", "D", "E")), Question("Shots.\n\nWhich:", (" two", " more", " of", " these"))]
    return Questions(str(byte_model(tmp_path / "model")), tuple(asked), num_tokens=1, num_scored_tokens=1)


def _alone(questions):
    """Each choice after everything before it, with plain transformers."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(questions.model).eval(), AutoTokenizer.from_pretrained(questions.model)
    for one in questions.questions:
        for choice in one.choices:
            tokens = torch.tensor(tokenizer(one.prompt + choice)["input_ids"])
            with torch.no_grad():
                logprobs = model(tokens[None]).logits[0].log_softmax(-1)
            start = len(tokens) - len(choice)  # a token is a letter
            yield sum(float(logprobs[place - 1, tokens[place]]) for place in range(start, len(tokens)))


def test_ours_equals_each_choice_read_alone(questions):
    assert [x for choices in leg(questions, "best").logprobs for x in choices] == pytest.approx(list(_alone(questions)), abs=1e-4)


@pytest.mark.parametrize("config", ["best", "default"])
def test_lm_eval_asked_in_the_same_way_chooses_the_same(questions, config):
    found = agreement([leg(questions, config)], [lm_eval.leg(questions, config)])
    assert found.passed
    assert found.logprob_difference < 1e-3


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


def test_docstrings_have_four_different_choices_one_of_them_right_and_more_hold_fewer():
    made = docstrings(20)
    assert made[:8] == docstrings(8)
    assert len({one.prompt.rpartition("\n\nFunction:")[0] for one in made}) == 1  # the worked examples
    assert all(one.prompt.count("Docstring:") == 6 and len(set(one.choices)) == 4 for one in made)


def test_mmlu_is_asked_as_lm_eval_does_with_its_authors_worked_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_questions, "_SUBJECT", "mmlu_anatomy")
    made = mmlu(write_suites(tmp_path), 4)
    assert len(made) == 4
    assert {one.choices for one in made} == {(" A", " B", " C", " D")}
    assert all(one.prompt.count("Answer:") == 6 and one.prompt.endswith("D. the last one\nAnswer:") for one in made)
    assert len({one.prompt.rpartition("Of anatomy in test")[0] for one in made}) == 1
    assert "Of anatomy in dev, which is 4?" in made[0].prompt


def test_tokens_are_counted_as_if_each_choice_were_read_alone(questions, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_questions, "mmlu", lambda data, count: list(questions.questions[:count]))
    monkeypatch.setattr(prepare_questions, "_MODEL", questions.model)
    prepare_questions.prepare(tmp_path / "made", "data", 2)
    made = Questions.read(tmp_path / "made")
    assert made.questions == questions.questions
    assert made.num_scored_tokens == 4 + 4 + 5 + 3 + 6
    assert made.num_tokens == 4 * len(questions.questions[0].prompt) + 4 * len(questions.questions[1].prompt) + 22
    facts = json.loads((tmp_path / "made" / "facts.json").read_text(encoding="utf-8"))["workload"]
    assert (facts["data"], facts["num_rows"], facts["num_targets"]) == ("mmlu", 2, 22)


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
