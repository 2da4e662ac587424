"""What an arm will take, worked by hand."""

from dataclasses import replace

import pytest

from tunesmith.comparison.cost_model import (
    Rates,
    Work,
    correction,
    disk_bytes,
    passes_of,
    peak_memory_bytes,
    predict,
    scattering,
    total_seconds,
    train_seconds,
    trained_bytes,
    trained_rate,
)

RATES = Rates(
    prepare_seconds=3.0,
    seconds_per_token={"read": 1e-3, "full": 4e-3, "adapter": 3e-3, "write": 0.1},
    resident_bytes=500_000_000,
    bytes_per_token={"read": 10_000.0, "full": 200_000.0, "adapter": 100_000.0, "write": 50_000.0},
)


def test_seconds_are_tokens_times_rates_and_what_comes_before() -> None:
    work = Work(kind="full", train_tokens=2000, epoch_tokens=1000, validated_tokens=100, num_validations=4, read_tokens=500)
    assert train_seconds(work, RATES) == pytest.approx(8.0)
    assert total_seconds(work, RATES) == pytest.approx(3 + 8 + (500 + 4 * 100) * 1e-3)
    assert total_seconds(Work(kind="none", read_tokens=500, written_tokens=20), RATES) == pytest.approx(3 + 0.5 + 2.0)


def test_a_search_takes_what_is_read_and_written_for_its_settings() -> None:
    work = Work(kind="none", read_tokens=1000, searched_read_tokens=4000, searched_written_tokens=50)
    assert train_seconds(work, RATES) == pytest.approx(4000 * 1e-3 + 50 * 0.1)
    assert total_seconds(work, RATES) == pytest.approx(3.0 + 1000 * 1e-3 + 4000 * 1e-3 + 50 * 0.1)
    assert passes_of(work) == ["read", "write"]


def test_documents_that_are_not_indexed_yet_take_their_time() -> None:
    work = Work(kind="none", read_tokens=500, embedded_characters=4000)
    assert passes_of(work) == ["read", "embed"]
    rates = replace(RATES, seconds_per_token={**RATES.seconds_per_token, "embed": 1e-3})
    assert total_seconds(work, rates) == pytest.approx(total_seconds(replace(work, embedded_characters=0), rates) + 4.0)


def test_what_is_kept_is_read_once() -> None:
    head = Work(kind="head", train_tokens=10_000, epoch_tokens=1000, validated_tokens=100, num_validations=4)
    assert train_seconds(head, RATES) == pytest.approx(1.0)
    assert total_seconds(head, RATES) == pytest.approx(3 + 1 + 0.1)
    half = Work(kind="adapter", train_tokens=2000, epoch_tokens=1000, frozen_share=0.5)
    assert train_seconds(half, RATES) == pytest.approx(0.5 * 1.0 + 0.5 * 2000 * 3e-3)
    dropping = replace(half, keeps_frozen=False)
    assert train_seconds(dropping, RATES) == pytest.approx(0.5 * 2.0 + 0.5 * 2000 * 3e-3)


def test_what_steps_took_tells_the_rates_that_would_have_told_it() -> None:
    half = Work(kind="adapter", num_steps=40, train_tokens=2000, epoch_tokens=1000, frozen_share=0.5, num_trained=1000, step_tokens=100)
    seconds, peak = train_seconds(half, RATES), peak_memory_bytes(half, RATES)
    assert trained_rate(half, RATES, seconds) == pytest.approx(RATES.seconds_per_token["adapter"])
    assert trained_bytes(half, RATES, peak) == pytest.approx(RATES.bytes_per_token["adapter"], rel=1e-6)
    head = Work(kind="head", train_tokens=2000, epoch_tokens=1000)
    slow = replace(RATES, seconds_per_token={**RATES.seconds_per_token, "head": 1e-4})
    assert train_seconds(head, slow) == pytest.approx(1.0 + 0.2)
    assert trained_rate(head, RATES, 1.2) == pytest.approx(1e-4)
    assert trained_rate(head, RATES, 0.1) == 0.0  # quicker than reading alone was


def test_less_than_an_epoch_reads_no_more_than_it_trains_on() -> None:
    assert train_seconds(Work(kind="head", train_tokens=300, epoch_tokens=1000), RATES) == pytest.approx(0.3)


def test_memory_is_what_is_held_what_trains_and_the_largest_pass() -> None:
    work = Work(kind="adapter", num_steps=1, num_trained=1_000_000, num_added=1_000_000, num_moments=2, step_tokens=1000, batch_tokens=2000)
    kept = 4 * (3 + 1) * 1_000_000
    assert peak_memory_bytes(work, RATES) == 500_000_000 + kept + 1000 * 100_000
    asked = Work(kind="none", batch_tokens=2000, kept_tokens=3000, written_tokens=1)
    assert peak_memory_bytes(asked, RATES) == 500_000_000 + 3000 * 50_000


@pytest.mark.parametrize("scatters", [False, True])
def test_many_steps_hold_more_than_the_first(scatters: bool) -> None:
    assert scattering(0, scatters=scatters) == scattering(1, scatters=scatters) == 1.0
    assert scattering(256, scatters=scatters) > scattering(64, scatters=scatters) > 1.0
    rates = replace(RATES, scatters=scatters)
    few, many = (Work(kind="full", num_steps=steps, step_tokens=1000) for steps in (1, 100))
    grown = (peak_memory_bytes(many, rates) - rates.resident_bytes) / (peak_memory_bytes(few, rates) - rates.resident_bytes)
    assert grown == pytest.approx(scattering(100, scatters=scatters))


def test_memory_in_pieces_grows_faster() -> None:
    assert scattering(100, scatters=True) > 2 > scattering(100, scatters=False)


def test_memory_is_not_predicted_where_the_system_does_not_say_what_is_held() -> None:
    found = predict(Work(kind="none", read_tokens=10), Rates(prepare_seconds=1.0, seconds_per_token={"read": 1e-3}, resident_bytes=0))
    assert (found.peak_memory_bytes, found.total_seconds) == (None, pytest.approx(1.01))


def test_only_the_passes_of_an_arm_have_to_be_known() -> None:
    assert passes_of(Work(kind="head")) == passes_of(Work(kind="none")) == ["read"]
    assert passes_of(Work(kind="adapter", written_tokens=3)) == ["read", "adapter", "write"]


def test_arms_before_correct_by_the_time_that_all_of_them_took() -> None:
    assert correction([]) == correction([(3.0, 0.0)]) == 1.0
    assert correction([(20.0, 10.0), (10.0, 10.0)]) == pytest.approx(1.5)


def test_the_disk_holds_weights_twice_and_two_checkpoints() -> None:
    assert disk_bytes(Work(kind="full", num_trained=10, num_moments=2)) == 4 * 10 * (2 + 2 * 3)
