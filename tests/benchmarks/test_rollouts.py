"""Learning from rewards of the model's own answers: what TRL's leg counts, on a tiny random model."""

from dataclasses import asdict, replace

import pytest
import torch
from model.tiny import tokenizer
from safetensors.torch import load_file

from benchmarks.legs import trl_grpo
from benchmarks.prepare_rollouts import write
from benchmarks.rollouts import Prompts, Rewarded, reward

TEMPLATE = "{% for turn in messages %}{{ turn['content'] }} {% endfor %}"


@pytest.fixture
def prompts(make, tmp_path):
    """Three steps of two prompts on a tiny model. The folder they lie in."""
    settings = replace(make(tmp_path, "language_model", "lora").settings(), examples_per_step=2, learning_rate=1e-2)
    made = tokenizer()
    made.chat_template = TEMPLATE
    made.save_pretrained(settings.model)
    Prompts(settings, ("the cat", "a dog ran", "good film", "the mat", "bad", "the dog sat"), num_answers=4, max_new_tokens=6).write(
        tmp_path / "workload"
    )
    return tmp_path / "workload"


def test_fewer_words_are_a_better_answer():
    assert [reward(answer) for answer in ("", "one two", " ".join(["word"] * 32))] == [0, -2 / 32, -1]


def test_trl_learns_from_as_many_answers_as_are_asked_for(prompts, tmp_path):
    given = Prompts.read(prompts)
    found = trl_grpo.leg(prompts, tmp_path / "leg", "best", at_a_time=4)
    assert (len(found.rewards), found.num_answers) == (3, 3 * given.answers_per_step) == (3, 24)
    assert 24 <= found.num_answer_tokens <= 24 * given.max_new_tokens
    assert all(-6 / 32 <= mean <= 0 for mean in found.rewards)
    assert found.setting == "4 answers at a time"
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (prompts / "start", tmp_path / "leg" / "adapter"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert replace(found, seconds=12.0).answers_per_second == 2.0


def test_prompts_and_results_are_read_as_they_were_written(prompts):
    assert len(Prompts.read(prompts).prompts) == 6
    found = Rewarded((-0.5, -0.25), 16, 100, 2.0, 1000, "1")
    assert Rewarded.from_document({**asdict(found), "rewards": [-0.5, -0.25]}) == found


@pytest.mark.slow
def test_the_embedded_prompts_are_different_questions(tmp_path):
    write(tmp_path, 4)
    made = Prompts.read(tmp_path)
    assert len(set(made.prompts)) == 8
    assert made.answers_per_step == 16
