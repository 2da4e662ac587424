"""Which arms are worth trying: by what is wanted, by rows and by the model; every rule names where it comes from."""

from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.comparison.advice import _RULES, WANTS, Reason, Situation, Source, is_worth_trying, reasons_for

WRITER = Situation(want="behaviour", kind="generation", num_rows=600, num_parameters=135_000_000, is_causal=True)
ENCODER = Situation(want="behaviour", kind="classification", num_rows=4000, num_parameters=22_000_000, is_causal=False)
ROOT = Path(__file__).parents[2]


def _worth(arm: str, situation: Situation) -> bool:
    return is_worth_trying(reasons_for(arm, situation))


def test_facts_that_change_are_looked_up_and_not_trained() -> None:
    changing = replace(WRITER, want="changing-facts")
    assert _worth("retrieval", changing)
    assert not any(_worth(arm, changing) for arm in ("lora", "full", "adapter", "prompt"))
    assert "arxiv.org/abs/2005.11401" in reasons_for("retrieval", changing)[0].source.address


def test_new_knowledge_is_looked_up_too_and_training_it_comes_with_a_warning() -> None:
    knowledge = replace(WRITER, want="knowledge")
    assert _worth("retrieval", knowledge)
    warned = [reason for reason in reasons_for("lora", knowledge) if "2405.05904" in reason.source.address]
    assert [reason.weight for reason in warned] == [0]
    assert not any("2405.05904" in reason.source.address for reason in reasons_for("lora", WRITER))


def test_few_rows_are_shown_or_read_by_a_head_and_many_train_everything() -> None:
    few, many = replace(ENCODER, num_rows=100), replace(ENCODER, num_rows=20_000)
    assert _worth("few_shot", replace(WRITER, num_rows=100))
    assert not _worth("few_shot", WRITER)
    assert (_worth("head", few), _worth("head", many)) == (True, False)
    assert (_worth("bitfit", few), _worth("bitfit", many)) == (True, False)
    assert (_worth("full", few), _worth("full", many)) == (False, True)
    assert _worth("head", replace(many, has_domains=True))


def test_a_prompt_is_for_models_of_billions_of_parameters() -> None:
    assert not _worth("prompt", WRITER)
    assert _worth("prompt", replace(WRITER, num_parameters=3_000_000_000))


def test_wordings_are_worth_trying_where_there_are_some() -> None:
    assert (_worth("zero_shot", WRITER), _worth("zero_shot", replace(WRITER, has_wordings=True))) == (False, True)


@pytest.mark.parametrize("want", WANTS)
def test_what_costs_nothing_is_always_in(want: str) -> None:
    situation = replace(ENCODER, want=want)  # type: ignore[arg-type]
    assert _worth("base", situation)
    assert _worth("majority", situation)


def test_of_what_nothing_is_known_of_nothing_speaks_for_it() -> None:
    assert reasons_for("somebodys_own", WRITER) == []
    assert not is_worth_trying([])
    known = Source("measured: run", "runs/run")
    assert not is_worth_trying([Reason("for.", 1, known), Reason("against.", -1, known)])


def test_every_reason_is_a_sentence_with_an_address_that_is_there() -> None:
    for rule in _RULES:
        address = rule.reason.source.address
        assert rule.reason.text.endswith("."), rule.reason.text
        assert address.startswith("https://") or (ROOT / address).is_file(), address


def test_something_else_cannot_be_wanted() -> None:
    with pytest.raises(ValueError, match="fame: expected one of knowledge, behaviour, changing-facts"):
        replace(WRITER, want="fame")  # type: ignore[arg-type]
