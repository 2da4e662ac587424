"""What base and tuned model said: counted, kept, and read again."""

from pathlib import Path
from typing import Any

from tiny_recipes import writer

from tunesmith.app.judged import Judgement, load_judgement, save_judgement
from tunesmith.app.tune import tune
from tunesmith.core.types import Output


def test_answers_that_do_not_end_are_counted_for_both_and_the_bases_out_of_the_cache_too(
    decoder_folder: Path, pairs_csv: Path, tmp_path: Path
) -> None:
    def cut(name: str, max_new_tokens: int, **evaluate: Any) -> list[str]:
        made = writer(decoder_folder, pairs_csv, tmp_path / name, evaluate={"max_new_tokens": max_new_tokens, **evaluate})
        return [warning for warning in tune(made).report["warnings"] if "had not ended" in warning]

    two = cut("two", 2)  # "yes yes" is as long, without its end
    assert two == [
        "Of 16 answers, 16 of the base and 16 of the tuned model had not ended after 2 tokens, or where the model reads no more, and count as they are. "
        "Raise evaluate.max_new_tokens."
    ]
    assert cut("again", 2) == two
    assert "16 of the base and 0 of the tuned model" in cut("four", 4)[0]
    assert cut("none", 2, generate_limit=0) == []


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    judgement = Judgement({"test": [Output(text="yes", nll_nats=1.5, num_tokens=2, num_bytes=3)]}, ["no"], 2.5, 1)
    save_judgement(tmp_path / "base.json", judgement)
    assert load_judgement(tmp_path / "base.json") == judgement
