"""Named chat templates, against how their models' own cards spell a conversation."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.core.types import Chat, Message, ModelFacts, Origin, Prompt
from tunesmith.data import LAYOUTS, TextEncoder, chat_template

Facts = Callable[..., ModelFacts]
HERE = Origin("a.jsonl", 1)
TURNS = (Message("system", "S"), Message("user", "A"), Message("assistant", "B"), Message("user", "C"), Message("assistant", "D"))
SPELLED = {
    "chatml": "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>user\nC<end_of_turn>\n<start_of_turn>model\n",
    "mistral": "[INST] S\n\nA [/INST] B</s>[INST] C [/INST]",
    "phi": "<|system|>\nS<|end|>\n<|user|>\nA<|end|>\n<|assistant|>\nB<|end|>\n<|user|>\nC<|end|>\n<|assistant|>\n",
    "zephyr": "<|system|>\nS</s>\n<|user|>\nA</s>\n<|assistant|>\nB</s>\n<|user|>\nC</s>\n<|assistant|>\n",
    "alpaca": "S\n\n### Instruction:\nA\n\n### Response:\nB</s>\n\n### Instruction:\nC\n\n### Response:\n",
    "vicuna": "S USER: A ASSISTANT: B</s>USER: C ASSISTANT:",
}
SPELLED["hermes"] = SPELLED["chatml"]  # they differ where there are tools
ANSWERS = {
    "hermes": "D<|im_end|>",
    "mistral": " D</s>",
    "vicuna": " D</s>",
    "llama3": "D<|eot_id|>",
    "gemma": "D<end_of_turn>",
    "phi": "D<|end|>",
    "chatml": "D<|im_end|>",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_spells_a_conversation_as_its_models_do(name: str, every_token: Any, facts: Facts) -> None:
    tokenizer = copy.deepcopy(every_token)
    tokenizer.chat_template = chat_template(name, tokenizer, "tiny")
    encoder = TextEncoder(tokenizer, facts())
    assert encoder.spell(encoder.prompt(Prompt(TURNS[:-1], HERE))) == SPELLED[name]
    encoded = encoder.encode(Chat(TURNS, HERE))
    assert encoder.spell(encoded.tokens) == SPELLED[name] + ANSWERS.get(name, "D</s>")
    learned = encoder.spell([token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored])
    answer = ANSWERS.get(name, "D</s>")
    assert learned == answer.replace("D", "B") + answer
    assert encoded.tokens[-1] in tokenizer.all_special_ids or encoded.tokens[-1] in tokenizer.added_tokens_decoder


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_without_a_system_message(name: str, every_token: Any, facts: Facts) -> None:
    tokenizer = copy.deepcopy(every_token)
    tokenizer.chat_template = chat_template(name, tokenizer, "tiny")
    encoder = TextEncoder(tokenizer, facts())
    text = encoder.spell(encoder.encode(Chat(TURNS[1:3], HERE)).tokens)
    lead = {
        "alpaca": "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n",
        "vicuna": "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. ",
    }
    assert text.startswith(lead.get(name, text[:1]))
    assert text.endswith(ANSWERS.get(name, "D</s>").replace("D", "B"))


def test_a_layout_begins_with_the_tokenizers_bos_once(sentencepiece: Any, facts: Facts) -> None:
    tokenizer = copy.deepcopy(sentencepiece)
    for name in ("zephyr", "mistral", "alpaca", "vicuna"):
        tokenizer.chat_template = chat_template(name, tokenizer, "tiny")
        tokens = TextEncoder(tokenizer, facts()).encode(Chat(TURNS, HERE)).tokens
        assert tokens[0] == tokenizer.bos_token_id
        assert tokens.count(tokenizer.bos_token_id) == 1


def test_a_saved_tokenizer_lays_out_a_conversation_alike(every_token: Any, facts: Facts, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = copy.deepcopy(every_token)
    tokenizer.chat_template = chat_template("phi", tokenizer, "tiny")
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    asked = [{"role": turn.role, "content": turn.content} for turn in TURNS[:-1]]
    assert loaded.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == SPELLED["phi"]


def test_a_file_is_a_template(base: Any, facts: Facts, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text(
        "{% for m in messages %}{{ m.role }}> {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant> {% endif %}"
    )
    tokenizer = copy.deepcopy(base)
    tokenizer.chat_template = chat_template(str(file), tokenizer, "tiny")
    encoder = TextEncoder(tokenizer, facts())
    assert encoder.spell(encoder.prompt(Prompt((Message("user", "A"),), HERE))) == "user> A\nassistant> "


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chatlm", "no layout 'chatlm'. Did you mean \"chatml\"?"),
        ("chatml", "chatml needs the token <|im_start|>, which the tokenizer of tiny does not have. These need none: mistral, zephyr"),
        ("nowhere.jinja", "nowhere.jinja: cannot be read (No such file or directory). Relative paths start at"),
    ],
)
def test_what_is_no_template_is_said(name: str, said: str, sentencepiece: Any) -> None:
    with pytest.raises(RecipeError) as error:
        chat_template(name, sentencepiece, "tiny")
    assert f"data.chat_template: {said}" in str(error.value)


def test_a_file_that_is_no_text_or_empty_or_huge_is_said(sentencepiece: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    for content, said in ((b"\xff", "not UTF-8 at byte 0"), (b" \n", "is empty"), (b"x" * 1_000_001, "1,000,001 bytes")):
        file.write_bytes(content)
        with pytest.raises(RecipeError, match=said):
            chat_template(str(file), sentencepiece, "tiny")
