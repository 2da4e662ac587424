"""`tunesmith runs mean`: chains of several seeds, written here by hand, and what is said of them together."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.app.chain_means import chain_means
from tunesmith.cli.group_tables import print_means
from tunesmith.cli.main import run as command
from tunesmith.core.errors import RunError, UsageError
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.recipe.text import write_yaml

RIGHT = {"plain": "1110", "careful": "1111"}
"""Which of four test rows a stage gets right."""


def chain(
    path: Path,
    seed: int,
    right: Mapping[str, str] = RIGHT,
    rows: Sequence[str] = "abcd",
    seeds: Mapping[str, int] | None = None,
    **changes: Any,
) -> GroupDirectory:
    """A finished chain whose stages are classifiers.

    Args:
        seeds: of stages that name their own.
        changes: of every recipe.
    """
    group = GroupDirectory(path)
    group.path.mkdir()
    group.asked.write_text(json.dumps({"kind": "stages", "values": list(right)}), encoding="utf-8")
    own = {"model": "m", "data": "d", "objective": "classify", "train": {"learning_rate": 0.5}, **changes}
    recipes = {stage: {**own, "seed": (seeds or {}).get(stage, seed)} for stage in right}
    group.recipe.write_text(write_yaml({"stages": recipes}), encoding="utf-8")
    for stage, run in group.by_value.items():
        run.path.mkdir()
        run.recipe.write_text(write_yaml(recipes[stage]), encoding="utf-8")
        answers = [float(one) for one in right[stage]]
        measure(run, {"accuracy": [[answer] for answer in answers]}, rows)
    group.set_status("done")
    return group


def measure(run: RunDirectory, scores: Mapping[str, Sequence[Sequence[float]]], rows: Sequence[str] = "abcd", **changes: Any) -> None:
    """Write what a run measured: of each metric what each row contributed.

    Args:
        changes: of every row.
    """
    found = {"tuned": {"value": 0.5, "low": 0.0, "high": 1.0}, "rows": len(rows)}
    values = {name: found | {"tuned": found["tuned"] | {"value": sum(one[0] for one in own) / len(own)}} for name, own in scores.items()}  # type: ignore[operator]
    run.report_json.write_text(json.dumps({"metrics": values}), encoding="utf-8")
    lines = [
        {
            "split": "test",
            "row": row,
            "reference": "x",
            "scores": {"tuned": {name: list(own[at]) for name, own in scores.items()}},
            **changes,
        }
        for at, row in enumerate(rows)
    ]
    run.predictions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_a_stages_mean_is_that_of_its_seeds_and_its_difference_that_of_the_means(tmp_path: Path) -> None:
    two = [chain(tmp_path / "one", 0), chain(tmp_path / "two", 1, {"plain": "1100", "careful": "1111"})]
    stages = chain_means(two, against="plain")["stages"]
    assert [one["value"] for one in stages["plain"]["values"]] == [0.75, 0.5]
    assert stages["plain"]["tuned"]["value"] == 0.625
    assert stages["plain"]["difference"] is None
    assert stages["careful"]["difference"]["value"] == 0.375


def test_the_interval_holds_what_the_seeds_differ_by(tmp_path: Path) -> None:
    """Every row is right with one seed and wrong with the other, so that rows do not matter: both seeds are of one kind in half of the draws."""
    two = [chain(tmp_path / "one", 0, {"plain": "1111"}), chain(tmp_path / "two", 1, {"plain": "0000"})]
    assert chain_means(two)["stages"]["plain"]["tuned"] == {"value": 0.5, "low": 0.0, "high": 1.0}


def test_the_command_prints_a_line_a_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    two = [str(chain(tmp_path / name, seed).path) for seed, name in enumerate(("one", "two"))]
    assert command(["runs", "mean", *two, "--against", "plain"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "careful" in line)
    assert "1.00" in line
    assert "+0.25" in line
    assert command(["runs", "mean", *two, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "tunesmith/runs-mean/1"


def test_no_number_and_no_stage_is_cut_where_columns_are_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {"without-discriminative": "1110", "without-both": "1100", "all": "1111"}
    three = [chain(tmp_path / str(seed), seed, right) for seed in range(3)]
    document = chain_means(three, against="without-discriminative")
    for width in (200, 110, 80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        print_means(document)
        table = capsys.readouterr().out.split("run 1: ")[0]
        assert "…" not in table
        assert max(map(len, table.splitlines())) <= width
        for stage, value, change in (("without-both", "0.50", "−0.25"), ("all", "1.00", "+0.25")):
            own = table[table.index(f" {stage} ") :]
            assert own.count(value) >= 4  # three runs and their mean
            assert change in own
        assert "minus" in table
        assert table.count("without-discriminative") > 1  # the stage, and what others are held to
        assert "run 3" in table


def test_a_stage_that_ran_twice_with_one_seed_is_no_two_seeds(tmp_path: Path) -> None:
    one, half = chain(tmp_path / "one", 0), chain(tmp_path / "half", 0, seeds={"careful": 1})
    document = chain_means([one, half])
    assert list(document["stages"]) == ["careful"]
    assert document["remarks"][0].startswith(f"plain: has the same seed, 0, in {one.path} and {half.path}, and it is left out")
    with pytest.raises(UsageError, match=r"stage plain has the same seed, 0, in \S+one and \S+half: .*plain\.seed=N"):
        chain_means([one, half], against="plain")
    third = chain(tmp_path / "third", 2, seeds={"plain": 1, "careful": 1})
    with pytest.raises(UsageError, match=r"stage plain has the same seed, 0, in \S+one and \S+half"):
        chain_means([one, half, chain(tmp_path / "fourth", 3, seeds={"careful": 1})])
    assert "careful" not in chain_means([one, third, chain(tmp_path / "fifth", 2, seeds={"careful": 1})])["stages"]


def test_a_difference_in_recipes_is_named_and_a_default_that_is_written_out_is_none(tmp_path: Path) -> None:
    one, same = chain(tmp_path / "one", 0), chain(tmp_path / "same", 1, train={"learning_rate": 0.5, "momentum": 0.0})
    assert chain_means([one, same])["stages"]["plain"]["tuned"]["value"] == 0.75
    with pytest.raises(RunError, match=r"train\.learning_rate is 0\.1, and there 0\.5\."):
        chain_means([one, chain(tmp_path / "other", 1, train={"learning_rate": 0.1})])
    with pytest.raises(RunError, match=r"one: has a stage careful, and \S+fewer has none"):
        chain_means([one, chain(tmp_path / "fewer", 1, {"plain": "1110"})])


def test_perplexities_of_other_tokens_have_no_difference_and_bits_per_byte_do(tmp_path: Path) -> None:
    two = [chain(tmp_path / "one", 0), chain(tmp_path / "two", 1)]
    for tokens, differs in ((5.0, False), (6.0, True)):
        for group in two:
            for stage, count in (("plain", 5.0), ("careful", tokens)):
                measure(group.by_value[stage], {"perplexity": [[7.0, count]] * 4, "bits_per_byte": [[7.0, 9.0]] * 4})
        document = chain_means(two, against="plain")
        assert (document["stages"]["careful"]["difference"] is None) is differs
        assert any(text.startswith("careful: counts other tokens than plain") for text in document["remarks"]) is differs
    assert chain_means(two, against="plain", metric="bits_per_byte")["stages"]["careful"]["difference"]["value"] == 0.0


def test_runs_of_one_stage_that_count_other_tokens_are_told(tmp_path: Path) -> None:
    two = [chain(tmp_path / str(seed), seed, {"plain": "1110"}) for seed in range(2)]
    for group, tokens in zip(two, (5.0, 6.0), strict=True):
        measure(group.by_value["plain"], {"perplexity": [[7.0, tokens]] * 4})
    assert any("plain: its runs count other tokens than each other" in text for text in chain_means(two)["remarks"])


def test_tokens_that_models_wrote_are_held_against_each_other_of_one_model_alone(tmp_path: Path) -> None:
    """What a row contributes to it is the number itself: nothing beside it tells the vocabularies apart."""
    two = [chain(tmp_path / "one", 0), chain(tmp_path / "two", 1)]
    for group in two:
        for stage, length in (("plain", 5.0), ("careful", 8.0)):
            measure(group.by_value[stage], {"answer_tokens": [[length]] * 4})
    assert chain_means(two, against="plain")["stages"]["careful"]["difference"]["value"] == 3.0
    for group in two:
        run = group.by_value["careful"]
        run.recipe.write_text(run.recipe.read_text(encoding="utf-8").replace("model: m", "model: other"), encoding="utf-8")
    assert chain_means(two, against="plain")["stages"]["careful"]["difference"] is None


def test_rows_are_the_same_by_name_reference_and_group(tmp_path: Path) -> None:
    right = [[1.0], [1.0], [1.0], [0.0]]
    two = [chain(tmp_path / "one", 0), chain(tmp_path / "two", 1)]
    for group in two:  # a group of three rows and one of one, against two and two
        for stage, keys in (("plain", "ggga"), ("careful", "ggaa")):
            run = group.by_value[stage]
            measure(run, {"accuracy": right})
            lines = [json.loads(line) | {"group": key} for line, key in zip(run.predictions.read_text().splitlines(), keys, strict=True)]
            run.predictions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    document = chain_means(two, against="plain")
    assert document["stages"]["careful"]["difference"] is None
    assert (
        "careful: was judged on other rows than plain (3 of 4 and 4 are the same, by name, reference and group)" in document["remarks"][0]
    )
    measure(two[1].by_value["plain"], {"accuracy": right}, reference="y")
    measure(two[0].by_value["plain"], {"accuracy": right})
    document = chain_means(two)
    assert list(document["stages"]) == ["careful"]
    assert f"plain: is left out: {two[1].path / 'plain'} was judged on other test rows than" in document["remarks"][0]
    assert "(0 of 4 and 4 are the same" in document["remarks"][0]


def test_what_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    right = dict.fromkeys(("plain", "empty", "nothing", "rowless", "first"), "1110")
    two = [chain(tmp_path / "one", 0, right), chain(tmp_path / "two", 1, right)]
    for group in two:
        group.by_value["empty"].report_json.write_text("{}", encoding="utf-8")
        measure(group.by_value["nothing"], {})
        group.by_value["rowless"].predictions.write_text("", encoding="utf-8")
        measure(group.by_value["first"], {"macro_f1": [[1.0, 1.0]] * 4})
    measure(two[1].by_value["first"], {"mcc": [[1.0, 1.0]] * 4, "macro_f1": [[1.0, 1.0]] * 4})
    document = chain_means(two, against="plain")
    assert list(document["stages"]) == ["plain", "first"]
    expected = [
        "empty: was not measured by any metric, and is left out.",
        "nothing: was not measured by any metric, and is left out.",
        f"rowless: accuracy is left out: {two[0].by_value['rowless'].predictions} has no row of it.",
        "first: is measured by macro_f1, and plain by accuracy: their difference is left out.",
    ]
    assert document["remarks"][:4] == expected
    assert command(["runs", "mean", *(str(group.path) for group in two), "--against", "plain"]) == 0
    out = capsys.readouterr().out
    assert all(f"note: {text}" in out for text in expected)


def test_how_far_intervals_can_be_trusted_is_told(tmp_path: Path) -> None:
    """Three numbers that lie above their mean as often as below are on one side of it twice in eight."""
    right = {"plain": "1110", "careful": "1111", "bold": "1100"}
    groups = [chain(tmp_path / str(seed), seed, right if seed else dict.fromkeys(right, "0000")) for seed in range(5)]
    few = chain_means(groups[:3])["remarks"]
    assert len(few) == 1
    assert "3 seeds" in few[0]
    assert "in about 75 % of cases" in few[0]
    assert chain_means(groups)["remarks"] == []
    (many,) = chain_means(groups, against="plain")["remarks"]
    assert "accuracy: the intervals of 2 differences" in many
    assert "not corrected" in many


def test_the_interval_of_three_seeds_reaches_from_the_least_to_the_greatest(tmp_path: Path) -> None:
    """Rows do not matter; all three draws are the least seed in 1 of 27 resamples, which is more than the 2.5 % that are cut off."""
    three = [chain(tmp_path / str(seed), seed, {"plain": own}) for seed, own in enumerate(("0000", "1111", "1111"))]
    found = chain_means(three)["stages"]["plain"]["tuned"]
    assert (found["low"], found["high"]) == (0.0, 1.0)


def test_chains_that_have_no_mean_are_refused_in_a_line(tmp_path: Path) -> None:
    one, again, other = chain(tmp_path / "one", 0), chain(tmp_path / "again", 0), chain(tmp_path / "other", 1, train={"learning_rate": 0.1})
    rows = chain(tmp_path / "rows", 1, rows="abce")
    unfinished = chain(tmp_path / "unfinished", 1)
    unfinished.set_status("interrupted")
    refused: list[tuple[type[Exception], list[Any], dict[str, str], str]] = [
        (UsageError, [one], {}, "two seeds or more"),
        (UsageError, [one, one], {}, "is named twice"),
        (UsageError, [one, again], {}, "the same seed"),
        (UsageError, [one, one.members[0]], {}, "is no chain"),
        (RunError, [one, other], {}, "stage plain differs"),
        (UsageError, [one, rows], {}, "other test rows"),
        (RunError, [one, unfinished], {}, "runs resume"),
        (UsageError, [one, chain(tmp_path / "two", 1)], {"against": "carefull"}, 'Did you mean "careful"'),
        (UsageError, [one, chain(tmp_path / "three", 1)], {"metric": "bleu"}, "measured by bleu"),
    ]
    for kind, groups, options, said in refused:
        with pytest.raises(kind, match=said):
            chain_means(groups, **options)
