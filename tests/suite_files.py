"""Small files of suites, as their authors ship them, and a tiny model whose tokens are letters: it tells any two texts apart."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

__all__ = ["byte_model", "write_suites"]

_CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_SUBJECTS = {"anatomy": 6, "astronomy": 4, "philosophy": 5, "sociology": 3}


def byte_model(folder: Path, *, max_length: int = 2048, chat: bool = False) -> Path:
    """A Llama of two layers, its weights large enough that what it reads matters."""
    torch.manual_seed(0)
    alphabet = [chr(code) for code in range(ord("!"), ord("~") + 1)] + [
        "Ġ",
        "Ċ",
    ]  # a space and a line's end, as byte-level tokenizers spell them
    vocabulary = {token: index for index, token in enumerate(["[PAD]", "</s>", *alphabet])}
    built = Tokenizer(models.BPE(vocabulary, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    built.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", eos_token="</s>")
    if chat:
        tokenizer.chat_template = _CHATML
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=max_length, eos_token_id=1, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(40.0 if "q_proj" in name or "k_proj" in name else 8.0)  # it looks at single letters, wherever they stand
        model.lm_head.weight[1] = 0.0  # it never ends an answer of its own: some other letter is always likelier
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_suites(folder: Path) -> Path:
    """Files of every suite that reads some."""
    for subject, count in _SUBJECTS.items():
        for split, number in (("test", count), ("dev", 5)):
            _csv(folder / f"mmlu/{split}/{subject}_{split}.csv", [_question(subject, split, i) for i in range(number)])
    for name in ("boolean_expressions", "snarks", "logical_deduction_three_objects"):
        examples = [{"input": f"not ( True ) and {i} is", "target": ("True", "False")[i % 2]} for i in range(5)]
        _write(folder / f"bbh/{name}.json", json.dumps({"canary": "-", "examples": examples}))
    for split, count in (("test", 4), ("train", 12)):
        _lines(
            folder / f"gsm8k/{split}.jsonl",
            [{"question": f"What is {i} + {i}?", "answer": f"Twice {i} is {2 * i}.\n#### {2 * i}"} for i in range(count)],
        )
    passages = [{"context": f"he saw number {i} and then it", "continuation": ("was", "is", "went")[i % 3]} for i in range(6)]
    _lines(folder / "lambada/lambada_test.json", passages)
    header = ("Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source")
    rows = [("A", "B", f"Is {i} odd?", "It may be", "It may be; Perhaps", "No; Never; It is even", "-") for i in range(4)]
    _csv(folder / "truthfulqa/TruthfulQA.csv", [header, *rows])
    _lines(
        folder / "superglue/CB__val.jsonl",
        [
            {"premise": f"It is {i}.", "hypothesis": "It is 1", "label": one}
            for i, one in enumerate(("neutral", "contradiction", "entailment"))
        ],
    )
    _lines(
        folder / "superglue/BoolQ/val.jsonl",
        [{"question": f"is it {i}", "passage": f"It is {i % 2}.", "label": i % 2 == 0} for i in range(4)],
    )
    answers = [{"text": f"number {i}", "label": i % 2, "idx": i} for i in range(3)]
    passages = [
        {"text": f"It is {i}.", "questions": [{"question": f"Is it {i + j}?", "answers": answers} for j in range(2)]} for i in range(2)
    ]
    _lines(folder / "superglue/MultiRC/val.jsonl", [{"idx": i, "passage": passage} for i, passage in enumerate(passages)])
    spans = [{"start": 0, "end": 2}, {"start": 10, "end": 12}, {"start": 0, "end": 2}]
    passage = {"text": "Ann likes Bob.\n@highlight\nBob ran\n@highlight\nAnn won", "entities": spans}
    asked = [{"query": f"@placeholder ran {i} miles", "answers": [{"start": 10, "end": 12, "text": "Bob"}]} for i in range(3)]
    _lines(folder / "superglue/ReCoRD/val.jsonl", [{"idx": 0, "passage": passage, "qas": asked}])
    _glue(folder / "glue")
    prompts = [
        {"key": 1, "prompt": "Say it without commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        {"key": 2, "prompt": "Write in lower case.", "instruction_id_list": ["change_case:english_lowercase"], "kwargs": [{}]},
    ]
    _lines(folder / "ifeval/input_data.jsonl", prompts)
    return folder


def _glue(folder: Path) -> None:
    """Two tasks with a header, one with training rows, one without a header, both parts of MNLI; scores of pairs. A quote is a character like any other."""
    header, pairs = ("index", "sentence1", "sentence2", "label"), [(f"It is {i}.", f'It is "{i % 2}') for i in range(4)]
    entailed = [(str(i), *pair, ("entailment", "not_entailment")[i % 2]) for i, pair in enumerate(pairs)]
    for part in ("train", "dev"):
        _tsv(folder / f"RTE/{part}.tsv", [header, *entailed])
    _tsv(folder / "CoLA/dev.tsv", [("gj04", str(i % 2), "", f"They is {i}.") for i in range(4)])
    questions = [("id", "qid1", "qid2", "question1", "question2", "is_duplicate")]
    _tsv(folder / "QQP/dev.tsv", questions + [(str(i), "1", "2", *pair, str(i % 2)) for i, pair in enumerate(pairs)])
    inferred = [(*pair, ("neutral", "entailment", "contradiction")[i % 3]) for i, pair in enumerate(pairs)]
    for part in ("dev_matched", "dev_mismatched"):
        _tsv(folder / f"MNLI/{part}.tsv", [("sentence1", "sentence2", "gold_label"), *inferred])
    _tsv(
        folder / "STS-B/dev.tsv",
        [("index", "sentence1", "sentence2", "score"), *((str(i), *pair, f"{i * 1.3:.3f}") for i, pair in enumerate(pairs))],
    )


def _tsv(path: Path, rows: list[tuple[str, ...]]) -> None:
    _write(path, "".join("\t".join(row) + "\n" for row in rows))


def _question(subject: str, split: str, number: int) -> tuple[str, ...]:
    return (
        f"Of {subject} in {split}, which is {number}?",
        *(f"the {word} one" for word in ("first", "second", "third", "last")),
        "ABCD"[number % 4],
    )


def _csv(path: Path, rows: list[tuple[str, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
