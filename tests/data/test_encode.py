from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core import registry
from tunesmith.core.errors import DataError
from tunesmith.core.files import cache_folder
from tunesmith.core.types import Completion, Labelled, ModelFacts, Objective, Origin, Text
from tunesmith.data import SourceFacts, Splits, TextEncoder, encode, inspect, preview

Facts = Callable[..., ModelFacts]
PAIRS = [Completion(f"question {i} " + "word " * (i % 7), f"answer {i}", Origin("a.jsonl", i + 1)) for i in range(20)]


@pytest.fixture
def sft() -> Any:
    return registry.create("objective", "sft")


def test_rows_score_what_the_encoder_marks(chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts())
    rows = encode(PAIRS, sft, encoder).rows
    for example, row in zip(PAIRS, rows, strict=True):
        assert encoder.decode(row.targets.labels) == example.target
        assert row.origin == example.origin


def test_a_labelled_text_under_a_language_model_is_asked_for_its_label(chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts(), ("bad", "good"))
    assert encoder.decode(encode([Labelled("fine", "good", Origin("a", 1))], sft, encoder).rows[0].targets.labels) == "good"


def test_the_second_time_rows_come_from_disk_and_are_equal(
    chatml: Any, bert: Any, facts: Facts, sft: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = [Labelled(f"film {i}", "ab"[i % 2], Origin("a.csv", i)) for i in range(5)]
    texts = [Text("the film " * i, Origin("a.txt", i)) for i in range(1, 5)]
    bert_facts = facts(is_causal=False, has_token_types=True)
    cases: list[tuple[Any, str, TextEncoder]] = [
        (PAIRS, "sft", TextEncoder(chatml, facts())),
        (labelled, "classify", TextEncoder(bert, bert_facts, ("a", "b"))),
        (texts, "causal_lm", TextEncoder(chatml, facts(), max_length=5)),
    ]
    for examples, name, encoder in cases:
        objective = registry.create("objective", name)
        first = encode(examples, objective, encoder, cache_key="k")
        with monkeypatch.context() as patched:
            patched.setattr(TextEncoder, "encode", None)
            patched.setattr(TextEncoder, "windows", None)
            second = encode(examples, objective, encoder, cache_key="k")
        assert second == first


def test_another_key_text_or_length_is_encoded_anew(chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts())
    for count, call in enumerate(
        [
            lambda: encode(PAIRS, sft, encoder, cache_key="k"),
            lambda: encode(PAIRS, sft, encoder, cache_key="other"),
            lambda: encode(PAIRS[1:], sft, encoder, cache_key="k"),
            lambda: encode(PAIRS, sft, TextEncoder(chatml, facts(), max_length=100), cache_key="k"),
            lambda: encode(PAIRS, sft, encoder, cache_key="k", too_long="drop"),
        ],
        start=1,
    ):
        call()
        assert len(list(cache_folder("encoded").iterdir())) == count
    encode(PAIRS, sft, encoder)  # without a key nothing is kept
    assert len(list(cache_folder("encoded").iterdir())) == count


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"PK\x03\x04 cut", None])
def test_a_broken_cache_entry_is_made_again(damage: bytes | None, chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts())
    first = encode(PAIRS, sft, encoder, cache_key="k")
    (entry,) = cache_folder("encoded").iterdir()
    entry.write_bytes(entry.read_bytes()[: entry.stat().st_size // 2] if damage is None else damage)
    assert encode(PAIRS, sft, encoder, cache_key="k") == first
    assert list(entry.parent.iterdir()) == [entry]
    assert entry.read_bytes() != damage


def test_too_long_rows_are_cut_dropped_or_refused_and_counted(chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts())
    lengths = [len(encoder.encode(example).tokens) for example in PAIRS]
    limit = max(lengths) - 2
    num_longer = sum(length > limit for length in lengths)
    short = TextEncoder(chatml, facts(), max_length=limit)
    cut = encode(PAIRS, sft, short)
    assert (cut.facts.num_cut, cut.facts.num_dropped, cut.facts.num_rows) == (num_longer, 0, 20)
    assert cut.facts.notes == (f"data: {num_longer} of 20 rows were cut to {limit} tokens",)
    dropped = encode(PAIRS, sft, short, too_long="drop", name="train")
    assert (dropped.facts.num_cut, dropped.facts.num_dropped, dropped.facts.num_rows) == (0, num_longer, 20 - num_longer)
    assert f"train: {num_longer} of 20 rows are longer than {limit} tokens and were left out" in dropped.facts.notes
    first = next(i for i, length in enumerate(lengths) if length > limit)
    with pytest.raises(DataError, match=rf"a.jsonl:{first + 1}: \d+ tokens longer than the {limit} that fit"):
        encode(PAIRS, sft, short, too_long="refuse")


def test_rows_with_nothing_left_to_learn_are_dropped_and_all_of_them_refused(chatml: Any, facts: Facts, sft: Objective) -> None:
    short, long = Completion("x", "fine", Origin("a", 1)), Completion("word " * 300, "fine", Origin("a", 2))
    encoder = TextEncoder(chatml, facts(max_length=150))
    found = encode([long, short], sft, encoder, cache_key="k")
    assert (found.examples, found.facts.num_dropped, found.facts.num_cut) == ([1], 1, 0)
    with pytest.raises(DataError, match="train: every one of the 1 rows is left with nothing to learn"):
        encode([long], sft, encoder, name="train")
    assert encode([], sft, encoder).facts.num_rows == 0


def test_lengths_are_order_statistics(base: Any, facts: Facts) -> None:
    @dataclass(frozen=True)
    class Whole:
        uses_lm_head = False

        def encode(self, example: Any, encoder: Any) -> list[Any]:
            from tunesmith.core.types import Row, Segment

            return [Row((Segment((1,) * int(example.text)),), example.origin)]

    examples = [Text(str(i), Origin("a", i)) for i in range(1, 101)]
    lengths = encode(examples, Whole(), TextEncoder(base, facts())).facts.lengths  # type: ignore[arg-type]
    assert (lengths.min, lengths.median, lengths.p95, lengths.max) == (1, 50, 95, 100)


def test_inspect_counts_what_the_report_shows(chatml: Any, facts: Facts, sft: Objective) -> None:
    def labelled(*rows: tuple[str, str]) -> list[Any]:
        return [Labelled(text, label, Origin("a.csv", i)) for i, (text, label) in enumerate(rows, start=2)]

    splits = Splits(labelled(("one", "good"), ("One", "good"), ("two", "bad")), [], labelled(("two", "bad")))
    encoder = TextEncoder(chatml, facts(), ("good", "bad"))
    encoded = {name: encode(examples, sft, encoder, name=name).facts for name, examples in splits.named().items()}
    source = SourceFacts("a.csv", "ff", "MIT", None, 4, "labelled", ("good", "bad"), ("a.csv: a note",))
    found = inspect(splits, encoded, dict.fromkeys(splits.named(), source))
    train = found["splits"]["train"]
    assert train["rows"] == 3
    assert list(train["labels"].items()) == [("good", 2), ("bad", 1)]
    assert train["lengths"].keys() == {"min", "median", "p95", "max"}
    assert train["tokens"] == encoded["train"].num_tokens
    assert train["notes"] == ["a.csv: a note"]
    assert found["duplicates"] == {
        "within": {"train": 1, "validation": 0, "test": 0},
        "across": {"train/validation": 0, "train/test": 1, "validation/test": 0},
    }
    assert found["licence"] == "MIT"


def test_a_preview_shows_what_is_learned(chatml: Any, facts: Facts, sft: Objective) -> None:
    encoder = TextEncoder(chatml, facts())
    (shown,) = preview(encode(PAIRS[:1], sft, encoder).rows, encoder)
    assert shown["origin"] == "a.jsonl:1"
    assert [piece for piece in shown["pieces"] if piece[1]] == [("answer 0<|im_end|>", True)]
    assert shown["pieces"][0][0].endswith("<|im_start|>assistant\n")


def test_nothing_here_imports_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, tunesmith.data; assert not {'torch', 'transformers', 'pandas', 'datasets', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
