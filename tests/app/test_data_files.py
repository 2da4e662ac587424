"""`tunesmith data split | dedupe | convert | sample`, as a person runs them."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tunesmith.cli.main import run
from tunesmith.core.types import Labelled
from tunesmith.data import read
from tunesmith.data import split as split_dataset

ROWS = [{"text": f"a film of {n} parts", "label": "bad" if n % 4 == 0 else "good", "maker": f"m{n % 7}", "id": n} for n in range(80)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines("d.jsonl", *ROWS)


def lines(name: str, *records: Any) -> None:
    Path(name).write_text(
        "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records), encoding="utf-8"
    )


def rows_of(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["data", *arguments, "--json"]) == 0, capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["data", *arguments]) in (2, 3)
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


# split


def test_a_split_is_the_one_that_tune_makes(capsys: pytest.CaptureFixture[str]) -> None:
    made = done(capsys, "split", "d.jsonl", "--out", "out")
    wanted = split_dataset(read("d.jsonl"))
    for name, examples in wanted.named().items():
        assert [row["text"] for row in rows_of(made["files"][name])] == [
            example.text for example in examples if isinstance(example, Labelled)
        ]
    assert made["rows"] == {"train": 56, "validation": 8, "test": 16}
    assert made["labels"]["test"] == {"bad": 4, "good": 12}
    assert rows_of("out/test.jsonl")[0].keys() == ROWS[0].keys()


def test_groups_stay_together_and_so_do_equal_texts_across_groups(capsys: pytest.CaptureFixture[str]) -> None:
    shared = [{**ROWS[0], "maker": "m1"}, {**ROWS[0], "maker": "m2"}]  # joins m0, m1 and m2
    lines("g.jsonl", *ROWS, *shared)
    made = done(capsys, "split", "g.jsonl", "--out", "out", "--by", "maker", "--test", "0.3", "--validation", "0", "--no-stratify")
    assert set(made["files"]) == {"train", "test"}
    makers = {name: {row["maker"] for row in rows_of(path)} for name, path in made["files"].items()}
    assert not makers["train"] & makers["test"]
    assert sum(made["rows"].values()) == 82
    assert made["groups"] == 7
    assert {"m0", "m1", "m2"} <= makers["train"] or {"m0", "m1", "m2"} <= makers["test"]


def test_another_seed_makes_another_split_and_the_same_one_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for seed, folder in (("0", "a"), ("1", "b"), ("1", "c")):
        done(capsys, "split", "d.jsonl", "--out", folder, "--seed", seed)
    a, b, c = ([row["id"] for row in rows_of(f"{folder}/test.jsonl")] for folder in "abc")
    assert a != b
    assert b == c


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz"])
def test_files_are_of_the_kind_of_the_source(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), "s.parquet")
    else:
        with (gzip.open if ending.endswith("gz") else open)(f"s.{ending}", "wt", newline="") as sink:
            writer = csv.DictWriter(sink, list(ROWS[0]), delimiter="\t" if ending == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    made = done(capsys, "split", f"s.{ending}", "--out", "out")
    assert made["files"]["train"] == f"out/train.{ending.removesuffix('.gz')}"
    found = [example for path in made["files"].values() for example in read(path).examples]
    assert Counter(example.text for example in found if isinstance(example, Labelled)) == Counter(str(row["text"]) for row in ROWS)
    if ending == "parquet":
        assert pq.read_schema("out/train.parquet").equals(pq.read_schema("s.parquet"))


def test_a_folder_that_holds_something_is_left_alone_unless_forced(capsys: pytest.CaptureFixture[str]) -> None:
    done(capsys, "split", "d.jsonl", "--out", "out")
    before = Path("out/train.jsonl").read_text()
    assert "out: exists and is not empty" in refused(capsys, "split", "d.jsonl", "--out", "out", "--seed", "3")
    assert Path("out/train.jsonl").read_text() == before
    done(capsys, "split", "d.jsonl", "--out", "out", "--seed", "3", "--force")
    assert Path("out/train.jsonl").read_text() != before
    said = refused(capsys, "split", "d.jsonl", "--out", "out", "--validation", "0", "--force")
    assert "validation.jsonl: would stay beside the new splits" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "makr"), r'--by makr: d.jsonl has no column "makr". Did you mean "maker"?'),
        (("--test", "1.5"), "--test 1.5: expected a share below 1 or a whole number of rows"),
        (("--test", "0", "--validation", "0"), "nothing to split off"),
        (("--test", "79", "--validation", "1"), "too few to hold out 79 for the test and 1 for validation. Lower --test and --validation"),
        (("--column", "text=body"), '--column text=COLUMN: no column "body"'),
    ],
)
def test_what_cannot_be_split_is_refused_in_the_words_of_the_command(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "split", "d.jsonl", "--out", "out", *arguments)
    assert not Path("out").exists()


def test_a_failure_half_way_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines("b.jsonl", *ROWS, "broken")
    assert "b.jsonl:81: broken JSON" in refused(capsys, "split", "b.jsonl", "--out", "deep/out")
    assert not Path("deep").exists()


def test_invalid_rows_are_left_out_where_asked_for_and_kept_beside(capsys: pytest.CaptureFixture[str]) -> None:
    lines("b.jsonl", *ROWS, "broken", {"text": "", "label": "good"})
    made = done(capsys, "split", "b.jsonl", "--out", "out", "--skip-invalid")
    assert made["invalid"] == 2
    assert sum(made["rows"].values()) == 80
    assert [row["row"] for row in rows_of("out/invalid.jsonl")] == [81, 82]


# dedupe


def test_repeats_are_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    lines("r.jsonl", *ROWS[:5], {**ROWS[1], "text": "A film  of 1 parts"}, {**ROWS[2], "label": "bad"})
    made = done(capsys, "dedupe", "r.jsonl", "--out", "o.jsonl")
    assert rows_of("o.jsonl") == ROWS[:5]
    assert (made["rows"], made["kept"], made["exact"], made["near"], made["other_label"]) == (7, 5, 2, 0, 1)
    assert {"row": "r.jsonl:6", "like": "r.jsonl:2", "kind": "exact", "similarity": 1.0} in made["repeats"]


def test_rows_of_the_other_source_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines("test.jsonl", ROWS[3], ROWS[9])
    made = done(capsys, "dedupe", "d.jsonl", "--against", "test.jsonl", "--out", "o.csv")
    assert (made["kept"], made["exact_other"]) == (78, 2)
    with Path("o.csv").open(newline="") as file:
        assert not {"3", "9"} & {row["id"] for row in csv.DictReader(file)}


def test_dedupe_refuses_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--near 0.1: expected a similarity from 0.3 to 1" in refused(capsys, "dedupe", "d.jsonl", "-o", "o.jsonl", "--near", "0.1")
    assert "d.jsonl: is the file that is read" in refused(capsys, "dedupe", "d.jsonl", "-o", "d.jsonl", "--force")
    assert "o.txt: expected a file that ends in .jsonl" in refused(capsys, "dedupe", "d.jsonl", "-o", "o.txt")
    lines("o.jsonl", "mine")
    assert "o.jsonl: exists. Name another file, or replace it with --force" in refused(capsys, "dedupe", "d.jsonl", "-o", "o.jsonl")
    assert Path("o.jsonl").read_text() == "mine\n"


# convert

CHATS = [
    {"messages": [{"role": "user", "content": f"why {n}?"}, {"role": "assistant", "content": "because"}, {"role": "user", "content": "so?"}, {"role": "assistant", "content": "so"}], "id": n}
    for n in range(3)
]  # fmt: skip


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("to", ["sharegpt", "alpaca"])
def test_conversations_survive_the_way_there_and_back(ending: str, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines("c.jsonl", *CHATS)
    made = done(capsys, "convert", "c.jsonl", "--to", to, "--out", f"o.{ending}")
    assert (made["from"], made["rows"], made["lost"]) == ("messages", 3, {})
    assert made["columns"][-1] == "id"
    done(capsys, "convert", f"o.{ending}", "--to", "messages", "--out", "back.jsonl")
    assert [row["messages"] for row in rows_of("back.jsonl")] == [chat["messages"] for chat in CHATS]


def test_what_would_be_lost_is_said_and_refused_unless_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    lines("c.jsonl", *CHATS, {**CHATS[0], "label": "x"})
    said = refused(capsys, "convert", "c.jsonl", "--to", "pairs", "--out", "o.jsonl")
    assert 'it would lose that earlier answers are learned too (every row), the column "label" (1 of 4 rows). Add --lossy' in said
    assert not Path("o.jsonl").exists()
    made = done(capsys, "convert", "c.jsonl", "--to", "pairs", "--out", "o.jsonl", "--lossy")
    assert made["lost"] == {"that earlier answers are learned too": 4, 'the column "label"': 1}
    first = rows_of("o.jsonl")[0]
    assert (len(first["prompt"]), first["completion"]) == (3, [{"role": "assistant", "content": "so"}])


def test_lists_of_messages_are_not_put_into_a_table_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines("c.jsonl", *CHATS)
    assert "which no table of text holds" in refused(capsys, "convert", "c.jsonl", "--to", "pairs", "--out", "o.csv", "--lossy")


def test_rows_that_the_format_cannot_hold_are_refused_by_line_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    odd = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}
    lines("c.jsonl", CHATS[0], odd)
    assert "c.jsonl:2: cannot be written as alpaca: its turns are user, user, assistant" in refused(
        capsys, "convert", "c.jsonl", "--to", "alpaca", "-o", "o.jsonl"
    )
    made = done(capsys, "convert", "c.jsonl", "--to", "alpaca", "-o", "o.jsonl", "--skip-invalid")
    assert (made["rows"], made["invalid"]) == (1, 1)
    assert rows_of("o.jsonl.invalid.jsonl")[0]["row"] == 2


def test_an_unknown_format_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert '--to sharegtp: unknown format. Did you mean "sharegpt"?' in refused(
        capsys, "convert", "d.jsonl", "--to", "sharegtp", "-o", "o.jsonl"
    )


def test_a_parquet_column_of_several_kinds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    lines("m.jsonl", {"text": "a", "label": "x", "id": 1}, {"text": "b", "label": "x", "id": "one"})
    assert "a column holds values of several kinds" in refused(capsys, "convert", "m.jsonl", "--to", "messages", "-o", "o.parquet")
    assert sorted(path.name for path in Path().iterdir()) == ["d.jsonl", "m.jsonl"]


# sample


def test_a_sample_is_the_same_every_time_keeps_the_order_and_grows_by_adding(capsys: pytest.CaptureFixture[str]) -> None:
    for count, name in (("10", "a"), ("10", "b"), ("30", "c")):
        assert done(capsys, "sample", "d.jsonl", "-n", count, "--out", f"{name}.jsonl")["sampled"] == int(count)
    a, b, c = ([row["id"] for row in rows_of(f"{name}.jsonl")] for name in "abc")
    assert a == b == sorted(a)
    assert set(a) < set(c)
    done(capsys, "sample", "d.jsonl", "-n", "10", "--seed", "5", "--out", "d2.jsonl")
    assert [row["id"] for row in rows_of("d2.jsonl")] != a


def test_every_row_is_as_likely_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 60 samples of 20 of 80 rows, each row is in 15 on average, standard deviation 3.4: none below 3, or above 28."""
    drawn = Counter[int]()
    for seed in range(60):
        done(capsys, "sample", "d.jsonl", "-n", "20", "--seed", str(seed), "--out", "s.jsonl", "--force")
        drawn.update(row["id"] for row in rows_of("s.jsonl"))
    assert len(drawn) == 80
    assert 3 <= min(drawn.values()) <= max(drawn.values()) <= 28


def test_a_stratified_sample_has_every_label_in_proportion(capsys: pytest.CaptureFixture[str]) -> None:
    assert done(capsys, "sample", "d.jsonl", "-n", "20", "--stratify", "--out", "s.jsonl")["labels"] == {"bad": 5, "good": 15}


def test_a_sample_on_stdout_is_lines_of_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "sample", "d.jsonl", "-n", "3", "--out", "-"]) == 0
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()]
    assert "--out -: the rows go to stdout" in refused(capsys, "sample", "d.jsonl", "-n", "3", "--out", "-", "--json")


def test_more_than_there_are_is_all_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert done(capsys, "sample", "d.jsonl", "-n", "1000", "--out", "s.jsonl")["sampled"] == 80
    lines("t.jsonl", {"text": "a"})
    assert "--stratify: t.jsonl has no labels" in refused(capsys, "sample", "t.jsonl", "--stratify", "--out", "o.jsonl")


def test_a_file_larger_than_the_memory_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """40 MB of rows are sampled in less than 20 MB: nothing but numbers is kept of a row."""
    import tracemalloc

    lines("big.jsonl", *({"text": f"{n} " + "x" * 4000} for n in range(10_000)))
    tracemalloc.start()
    done(capsys, "sample", "big.jsonl", "-n", "10", "--out", "s.jsonl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
