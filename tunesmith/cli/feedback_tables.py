"""What the commands of `tunesmith feedback` print for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.cli.output import console
from tunesmith.cli.tables import make_table, print_facts
from tunesmith.report.numbers import MISSING, count, numbered, p_cell
from tunesmith.report.results import Estimate

__all__ = ["print_agreement", "print_export", "print_store"]

_DECIMALS = 3
_LEFT_OUT = {
    "tied": ("pair", "tied"),
    "without_majority": ("pair", "without a verdict that more than half of the judges give"),
    "in_circles": ("pair", "in preferences that go round in a circle"),
    "with_an_empty_answer": ("pair", "with an empty answer"),
    "judgements_of_gold": ("judgement", "of gold questions"),
    "prompts_in_circles": ("prompt", "with preferences that go round in a circle"),
    "prompts_without_one_order": ("prompt", "without one order of all its answers"),
    "prompts_all_tied": ("prompt", "with nothing but ties"),
    "answers_of_gold": ("answer", "to gold questions"),
    "empty_answers": ("answer", "without text"),
}


def print_store(found: Mapping[str, Any]) -> None:
    """Counts, judges, and whose answers were preferred."""
    print_facts({name: found[name] for name in ("store", "prompts", "responses", "gold", "revisions")})
    if found["judges"]:
        table = make_table("judge", "pairs", "rankings", "grades", "gold right", numbers_from=1)
        for one in found["judges"]:
            table.add_row(one["judge"], *(count(one[name]) for name in ("pairs", "rankings", "grades")), _gold(one["gold"]))
        console().print(table, soft_wrap=False)
    if found["models"]:
        table = make_table("model", "against", "wins", "ties", "losses", "undecided", "win rate, ties half", "p", numbers_from=2)
        for one in found["models"]:
            table.add_row(
                one["model"],
                one["against"],
                *(count(one[name]) for name in ("wins", "ties", "losses", "undecided")),
                _estimate(one["win_rate"]),
                p_cell(one["p"]),
            )
        console().print(table, soft_wrap=False)
    if found["comments"]:
        console().print(f"{numbered(len(found['comments']), 'comment')}: --json shows them", style="dim")


def print_agreement(found: Mapping[str, Any]) -> None:
    """Alphas, kappas, places and gold questions."""
    console().print(f"\n{found['source']}: {numbered(len(found['judges']), 'judge')}", style="bold")
    print_facts(dict(_alphas(found)))
    if found["pairs"] and found["pairs"]["kappas"]:
        table = make_table("two judges", "pairs", "agree on", "Cohen's kappa", numbers_from=1)
        for one in found["pairs"]["kappas"]:
            table.add_row(" and ".join(one["judges"]), count(one["pairs"]), _estimate(one["share"]), _estimate(one["kappa"]))
        console().print(table, soft_wrap=False)
    if found["gold"]:
        table = make_table("judge", "gold questions right", numbers_from=1)
        for judge, one in found["gold"].items():
            table.add_row(judge, _gold(one))
        console().print(table, soft_wrap=False)


def _alphas(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if pairs := found["pairs"]:
        yield "Krippendorff's alpha, pairs", f"{_estimate(pairs['alpha'])}, nominal, {_by_two(pairs, 'pairs')}"
    for question, one in (found["grades"] or {}).items():
        yield (
            f"Krippendorff's alpha, {question}",
            f"{_estimate(one['ordinal'])} ordinal, {_estimate(one['interval'])} interval, {_by_two(one, 'answers')}",
        )
    if shown := found["shown_first"]:
        yield "the answer shown first was preferred", f"{_estimate(shown['share'])} of {count(shown['pairs'])} that are no tie"


def _by_two(one: Mapping[str, Any], things: str) -> str:
    return f"{count(one['by_two'])} of {count(one['judged'])} {things} judged by two or more"


def print_export(made: Mapping[str, Any]) -> None:
    """Rows, and what was left out."""
    out = console()
    out.print(f"{numbered(made['rows'], 'row')} of {numbered(len(made['judges']), 'judge')}: {made['out']}", style="bold")
    for judge, why in made["judges_left_out"].items():
        out.print(f"left out: the judge {judge}: {why}")
    for reason, number in made["left_out"].items():
        noun, why = _LEFT_OUT[reason]
        out.print(f"left out: {numbered(number, noun)} {why}")
    out.print(f"to train with them: data.train={made['out']} data.format={made['kind']}", style="dim")


def _gold(one: Mapping[str, Any]) -> str:
    return f"{count(one['right'])} of {count(one['judged'])}: {_estimate(one['share'])}" if one["judged"] else MISSING


def _estimate(given: Mapping[str, Any] | None) -> str:
    found = Estimate.read(given) if given else None
    return found.text(_DECIMALS) if found else MISSING
