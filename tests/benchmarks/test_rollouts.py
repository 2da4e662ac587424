"""Learning from rewards of the model's own answers: the gate by hand, and ours beside TRL's GRPOTrainer on a tiny random model."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
import trl
from model.tiny import tokenizer
from safetensors.torch import load_file

from benchmarks import rewarding
from benchmarks.document import gate_lines, table, tables
from benchmarks.environments import peer_python
from benchmarks.legs import ours_grpo, trl_grpo
from benchmarks.prepare_rollouts import _fitting, asked_in, prepare
from benchmarks.rewarding import LEGS, compare_rewarded, run_rewarding
from benchmarks.rollouts import Estimate, Prompts, Rewarded, mean_reward, reward, rewarded_alike
from benchmarks.running import Options, python
from benchmarks.workload import BenchmarkError, Settings
from tunesmith.engine.rollouts import Answers

TEMPLATE = "{% for turn in messages %}{{ turn['content'] }} {% endfor %}"
FACTS = {"workload": {"title": "answers"}, "machine": {}}
GIVEN = Prompts(Settings("model", examples_per_step=2, epochs=2), ("one", "two"), num_answers=2)
REWARDED = Rewarded(((-0.5, -0.3, -0.6, -0.4), (-0.4, -0.2, -0.5, -0.3)), ((4, 6, 5, 5),) * 2, 4.0, 1000, "1")
"""Two epochs of a step of two prompts: the reward rises by 0.1, and a step's mean has an error of 0.1 / sqrt(2)."""


@pytest.fixture
def prompts(make, tmp_path):
    """Two epochs of three steps of two prompts on a tiny model. The folder they lie in."""
    settings = replace(make(tmp_path, "language_model", "lora").settings(), examples_per_step=2, epochs=2, learning_rate=1e-2)
    made = tokenizer()
    made.chat_template = TEMPLATE
    made.save_pretrained(settings.model)
    Prompts(settings, ("the cat", "a dog ran", "good film", "the mat", "bad", "the dog sat"), num_answers=4, max_new_tokens=6).write(
        tmp_path / "workload"
    )
    return tmp_path / "workload"


def adapter(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_fewer_words_are_a_better_answer():
    assert [reward(answer) for answer in ("", "one two", " ".join(["word"] * 32))] == [0, -2 / 32, -1]


def test_both_learn_from_as_many_answers_as_are_asked_for(prompts, tmp_path):
    given, before = Prompts.read(prompts), adapter(prompts / "start")
    legs = {"ours": ours_grpo.leg(prompts, tmp_path / "ours", "best")}
    legs["trl"] = trl_grpo.leg(prompts, tmp_path / "trl", "best", at_a_time=4, written_at_a_time=4)
    for name, found in legs.items():
        assert (len(found.rewards), found.num_answers) == (given.num_steps, 6 * given.answers_per_step) == (6, 48)
        assert 1 <= found.mean_length <= given.max_new_tokens
        assert all(-6 / 32 <= mean <= 0 for mean in found.mean_rewards)
        assert replace(found, seconds=12.0).answers_per_second == 4.0
        after = adapter(tmp_path / name / "adapter")
        assert any(not torch.equal(before[weight], after[weight]) for weight in before)
    assert legs["trl"].setting == "4 answers at a time, 4 written together"
    assert rewarded_alike(given, [legs["ours"]], [legs["trl"]]).passed
    rounded = ours_grpo.leg(prompts, tmp_path / "int8", "best", is_rounded=1)
    assert rewarded_alike(given, [rounded], [legs["trl"]]).passed


@pytest.mark.parametrize("at_a_time", [2, 8])
def test_from_the_same_answers_both_learn_the_same(prompts, tmp_path, monkeypatch, at_a_time):
    drawn = []

    class Noting(trl.GRPOTrainer):
        def _generate_and_score_completions(self, inputs):
            made = super()._generate_and_score_completions(inputs)
            for prompt, its_mask, answer, mask in zip(
                made["prompt_ids"], made["prompt_mask"], made["completion_ids"], made["completion_mask"], strict=True
            ):
                drawn.append((tuple(prompt[its_mask.bool()].tolist()), tuple(answer[mask.bool()].tolist())))
            return made

    monkeypatch.setattr(trl, "GRPOTrainer", Noting)
    theirs = trl_grpo.leg(prompts, tmp_path / "trl", "best", at_a_time=at_a_time)
    waiting = iter(drawn)

    def write(forward, rows, *, num_answers, stop_tokens, **others):
        found = []
        for row in rows:
            asked, answers = zip(*(next(waiting) for _ in range(num_answers)), strict=True)
            assert set(asked) == {row.segments[0].tokens}
            found.append(Answers(answers, [answer[-1] in stop_tokens for answer in answers]))
        return found

    monkeypatch.setattr(ours_grpo, "write", write)
    ours = ours_grpo.leg(prompts, tmp_path / "ours", "best")
    assert (ours.rewards, ours.lengths) == (theirs.rewards, theirs.lengths)
    start, (a, b) = adapter(prompts / "start"), (adapter(tmp_path / side / "adapter") for side in ("ours", "trl"))
    moved = math.sqrt(sum(float((b[name] - start[name]).square().sum()) for name in start))
    apart = math.sqrt(sum(float((b[name] - a[name]).square().sum()) for name in start))
    assert moved > 0.1
    assert apart < 0.01 * moved


def test_prompts_and_results_are_read_as_they_were_written(prompts):
    given = Prompts.read(prompts)
    assert (len(given.prompts), given.num_steps, len(given.in_order()), given.in_order(1)) == (6, 6, 12, ["the cat", "a dog ran"])
    assert Rewarded.from_document(json.loads(json.dumps(asdict(REWARDED)))) == REWARDED


def test_the_error_of_a_mean_reward_is_that_of_drawing_the_answers():
    legs = [replace(REWARDED, rewards=((0.0, 2.0, 11.0, 13.0),))]
    assert mean_reward(legs, slice(0, 1), 2) == Estimate(6.5, math.sqrt(0.5))  # each prompt's mean has a variance of 2 / 2
    assert Estimate(1.0, 3.0).less(Estimate(3.0, 4.0)) == Estimate(-2.0, 5.0)


def test_the_gate_by_hand():
    found = rewarded_alike(GIVEN, [REWARDED], [REWARDED])
    assert found.passed
    assert (found.num_answers, found.mean_lengths, found.first_reward_errors) == ((8, 8), (5.0, 5.0), 0)
    assert found.rises == pytest.approx((0.1, 0.1))
    assert found.rise_errors == pytest.approx((1.0, 1.0))


def test_the_gate_fails_where_answers_are_others_fewer_or_end_worse():
    def lower(step, by):
        return tuple(value - by for value in step)

    first, last = REWARDED.rewards
    wrong = {
        "longer": {"lengths": ((5, 7, 5, 6),) * 2},
        "worse from the start": {"rewards": (lower(first, 0.5), lower(last, 0.5))},
        "worse in the end": {"rewards": (first, lower(last, 0.6))},
        "a step less": {"rewards": (first,)},
        "an answer less": {"rewards": (first, last[:3])},
        "not a number": {"rewards": ((math.nan, *first[1:]), last)},
    }
    for name, one in wrong.items():
        assert not rewarded_alike(GIVEN, [REWARDED], [replace(REWARDED, **one)]).passed, name
    assert not rewarded_alike(GIVEN, [replace(REWARDED, **wrong["worse in the end"])], [REWARDED]).passed


def test_ratios_are_given_where_both_sides_did_the_same():
    slow = replace(REWARDED, seconds=10.0, peak_memory_bytes=4000)
    rewarded = {leg.name: [REWARDED if leg.program == "ours" else slow] for leg in LEGS}
    document = compare_rewarded(GIVEN, rewarded, FACTS)
    for peer in document["peers"].values():
        assert (peer["ratios"]["answers_per_second"]["median"], peer["ratios"]["peak_memory"]["median"]) == (2.5, 0.25)
    assert list(document["peers"]) == ["trl_grpo_best", "trl_grpo_best, int8", "trl_grpo_default", "trl_grpo_default, int8"]
    assert len(gate_lines(document)) == 12
    exact, rounded = tables(document).values()
    assert [row[3] for row in (*exact[1:], *rounded[1:])] == ["passed"] * 4
    other = compare_rewarded(GIVEN, rewarded | {"ours_int8_best": [replace(REWARDED, lengths=((9, 9, 9, 9),) * 2)]}, FACTS)
    assert [bool(peer["ratios"]) for peer in other["peers"].values()] == [
        True,
        False,
        True,
        False,
    ]  # what is rounded keeps nothing else back
    assert "FAILED" in table(other)
    rewarded["trl_grpo_default"] = [replace(slow, lengths=((9, 9, 9, 9),) * 2)]
    assert [peer["ratios"] for peer in compare_rewarded(GIVEN, rewarded, FACTS)["peers"].values()] == [None] * 4
    rewarded["trl_grpo_default"] = [replace(slow, rewards=slow.rewards[:1])]
    last = gate_lines(compare_rewarded(GIVEN, rewarded, FACTS))[-1]
    assert last.endswith("TRL GRPOTrainer, default, ours int8: answers a leg: 8 and 4: other steps, or other numbers of answers in them")


def test_the_fastest_of_what_was_tried_is_taken_and_what_fails_is_left_out(tmp_path, monkeypatch):
    def ran(leg, workload, folder, executable, *, at_a_time, written_at_a_time, num_steps):
        if at_a_time == 16:
            raise BenchmarkError("out of memory")
        return replace(REWARDED, seconds=at_a_time + written_at_a_time)

    monkeypatch.setattr(rewarding, "_run", ran)
    said = []
    assert rewarding._fastest(tmp_path, tmp_path, "python", said.append) == {"at_a_time": 8, "written_at_a_time": 8}
    assert said[0].endswith("16 answers at a time, 16 written together: out of memory")


def test_another_peer_is_refused():
    with pytest.raises(BenchmarkError, match="grpo: has one peer, trl_grpo"):
        run_rewarding(Options(peers=["trainer"]), print)


def test_prompts_are_what_the_user_says_first_each_once_and_none_too_long(prompts, tmp_path):
    file, model = tmp_path / "asked.jsonl", Prompts.read(prompts).settings.model
    texts = ["the cat sat", "the dog" + " sat" * 200, "the cat sat", "a dog ran"]
    file.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "good"}]}) + "\n" for text in texts))  # fmt: skip
    assert list(asked_in(str(file))) == texts
    assert _fitting(str(file), model, 2) == ("the cat sat", "a dog ran")
    with pytest.raises(BenchmarkError, match="--data: 2 prompts of at most 128 tokens, not 4"):
        _fitting(str(file), model, 4)


@pytest.mark.slow
def test_the_embedded_prompts_are_different_questions(tmp_path):
    prepare(tmp_path, None, 8)
    made = Prompts.read(tmp_path)
    assert len(set(made.prompts)) == 8
    assert made.answers_per_step == 16
    with pytest.raises(BenchmarkError, match="--rows: 3 prompts: expected a multiple of 2"):
        prepare(tmp_path, None, 3)


@pytest.mark.slow
def test_trl_in_its_own_environment_does_the_same(prompts, tmp_path):
    (tmp_path / "leg").mkdir()
    python(peer_python("trl", print), "benchmarks.legs.trl_grpo", str(prompts), str(tmp_path / "leg"), "default")
    theirs = Rewarded.from_document(json.loads((tmp_path / "leg" / "result.json").read_text(encoding="utf-8")))
    assert rewarded_alike(Prompts.read(prompts), [ours_grpo.leg(prompts, tmp_path / "ours", "default")], [theirs]).passed
