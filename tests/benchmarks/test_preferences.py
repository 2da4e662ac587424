"""Pairs of answers: the gate by hand, and ours beside TRL's DPOTrainer on a tiny random model."""

import json
import math
import random
from dataclasses import replace

import pytest

from benchmarks import preferences, prepare_pairs
from benchmarks.environments import peer_python
from benchmarks.legs import ours_dpo, trl_dpo
from benchmarks.legs._pairs import held_out
from benchmarks.pairs import Learned, Pair, Pairs, learned_alike
from benchmarks.preferences import LEGS, compare_learned, run_preferences
from benchmarks.running import Options, python
from benchmarks.workload import BenchmarkError, Settings

LEARNED = Learned(math.log(2), 0.5, 0.75, seconds=2.0, num_answer_tokens=100, peak_memory_bytes=1000, version="1")
FACTS = {"workload": {"title": "pairs"}, "machine": {}}


@pytest.fixture
def pairs(make, tmp_path):
    """32 pairs on a tiny model: the better answer is of small numbers, the other one of large ones. The folder they lie in."""
    settings: Settings = replace(make(tmp_path, "language_model", "lora").settings(), epochs=4, learning_rate=2e-2)
    draw = random.Random(0)

    def answer(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw.randint(least, most) for _ in range(draw.randint(1, 7)))

    made = [Pair(tuple(draw.randint(5, 63) for _ in range(draw.randint(2, 12))), answer(5, 30), answer(31, 63)) for _ in range(32)]
    order = list(range(24))
    found = Pairs(settings, 0.5, tuple(made[:24]), tuple(made[24:]), {"grouped": order[::-1], "shuffled": order})
    found.write(tmp_path / "workload")
    assert Pairs.read(tmp_path / "workload") == found
    return tmp_path / "workload"


def test_ours_and_trl_learn_the_same_from_pairs_however_many_are_taken_at_a_time(pairs, tmp_path):
    asked = {
        "ours_best": {},
        "ours_recomputed_best": {"recomputes": 1},
        "trl_dpo_best": {"at_a_time": 2},
        "ours_default": {},
        "trl_dpo_default": {},
    }
    modules = {"ours": ours_dpo, "trl_dpo": trl_dpo}
    learned = {leg.name: [modules[leg.program].leg(pairs, tmp_path / leg.name, leg.config, **asked[leg.name])] for leg in LEGS}
    document = compare_learned(learned, FACTS)
    assert document["passed"], [list(peer["gate"].values()) for peer in document["peers"].values()]
    for [found] in learned.values():
        assert found.held_out_loss < 0.65
        assert found.held_out_accuracy > 0.5
        assert found.num_answer_tokens == 4 * sum(pair.num_answer_tokens for pair in Pairs.read(pairs).train)
    assert document["peers"]["trl_dpo_best"]["version"].endswith("; 2 pairs at a time")
    assert learned["ours_recomputed_best"][0].held_out_loss == pytest.approx(learned["ours_best"][0].held_out_loss, rel=1e-5)


def test_a_trial_takes_the_first_steps_and_is_not_scored(pairs, tmp_path):
    found = trl_dpo.leg(pairs, tmp_path / "trial", "best", at_a_time=4, num_steps=1)
    assert found.num_answer_tokens == sum(pair.num_answer_tokens for pair in Pairs.read(pairs).train[-4:])
    assert math.isnan(found.held_out_loss)


def test_an_adapter_that_learned_nothing_has_the_loss_of_a_coin(pairs):
    loss, _ = held_out(Pairs.read(pairs), pairs / "start")
    assert loss == pytest.approx(math.log(2))


def test_the_gate_fails_where_the_reference_is_wrong_the_ends_differ_or_nothing_is_learned():
    assert learned_alike([LEARNED], [LEARNED]).passed
    assert learned_alike([LEARNED], [replace(LEARNED, held_out_loss=0.502)]).passed
    wrong = [{"first_loss": 0.6940}, {"held_out_loss": 0.504}, {"held_out_loss": math.nan}, {"first_loss": math.nan}]
    assert not any(learned_alike([LEARNED], [LEARNED, replace(LEARNED, **one)]).passed for one in wrong)
    idle = replace(LEARNED, held_out_loss=0.6932)
    assert not learned_alike([idle], [idle]).passed


def test_ratios_are_given_where_both_sides_learned_the_same():
    slow = replace(LEARNED, seconds=5.0, peak_memory_bytes=4000)
    learned = {leg.name: [LEARNED if leg.program == "ours" else slow] for leg in LEGS}
    learned["ours_recomputed_best"] = [replace(LEARNED, seconds=2.5, peak_memory_bytes=500)]
    peers = compare_learned(learned, FACTS)["peers"]
    expected = {
        "trl_dpo_best": ("plain", 2.5, 0.25),
        "trl_dpo_best, recomputed": ("recomputed", 2.0, 0.125),
        "trl_dpo_default": ("plain", 2.5, 0.25),
    }
    assert {
        name: (one["way"], *(one["ratios"][kind]["median"] for kind in ("answer_tokens_per_second", "peak_memory")))
        for name, one in peers.items()
    } == expected
    learned["trl_dpo_default"] = [replace(slow, held_out_loss=0.6)]
    assert [peer["ratios"] for peer in compare_learned(learned, FACTS)["peers"].values()] == [None] * 3


def test_embedded_pairs_hold_a_functions_own_sentence_and_another_ones(tmp_path):
    prepare_pairs.docstrings(tmp_path / "pairs.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 1000
    assert all(row["chosen"] != row["rejected"] and row["chosen"] not in row["prompt"] for row in rows)
    assert len({row["chosen"] for row in rows}) == len(rows)


def test_the_fastest_of_what_was_tried_is_taken_and_what_fails_is_left_out(tmp_path, monkeypatch):
    def ran(leg, workload, folder, executable, *, at_a_time, num_steps):
        if at_a_time == 8:
            raise BenchmarkError("out of memory")
        return replace(LEARNED, seconds={1: 2.0, 2: 1.0, 4: 3.0}[at_a_time])

    monkeypatch.setattr(preferences, "_run", ran)
    said = []
    assert preferences._fastest(tmp_path, tmp_path, "python", said.append) == 2
    assert said[-1].endswith("8 pairs at a time: out of memory")
    monkeypatch.setattr(preferences, "_AT_A_TIME", (8,))
    with pytest.raises(BenchmarkError, match="out of memory"):
        preferences._fastest(tmp_path, tmp_path, "python", said.append)


def test_another_peer_is_refused():
    with pytest.raises(BenchmarkError, match="dpo: has one peer, trl_dpo"):
        run_preferences(Options(peers=["trainer"]), print)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["best", "default"])
def test_trl_in_its_own_environment_learns_the_same(config, pairs, tmp_path):
    (tmp_path / "leg").mkdir()
    python(peer_python("trl", print), "benchmarks.legs.trl_dpo", str(pairs), str(tmp_path / "leg"), config)
    theirs = Learned(**json.loads((tmp_path / "leg" / "result.json").read_text(encoding="utf-8")))
    assert learned_alike([ours_dpo.leg(pairs, tmp_path / "ours", config)], [theirs]).passed


def test_a_leg_of_the_peers_own_settings_runs_once_with_quick():
    quick, whole = (preferences._repeats(Options(quick, None, None, None)) for quick in (True, False))
    assert quick == {"ours_best": 2, "ours_recomputed_best": 2, "trl_dpo_best": 2, "ours_default": 1, "trl_dpo_default": 1}
    assert whole == {**dict.fromkeys(quick, 5), "ours_default": 2, "trl_dpo_default": 2}
