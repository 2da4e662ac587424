"""Chat templates by name, for models that have none, or another one than is wanted.

Source: the model cards of OpenHermes (chatml), Hermes 2 Pro (hermes: ChatML with tools), Llama 3 (llama3), Gemma (gemma), Mistral 7B Instruct (mistral), Phi-3 (phi), Zephyr (zephyr),
and the prompts of Stanford Alpaca (alpaca) and FastChat's Vicuna v1.1 (vicuna).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.data.tokenizing import leading_bos

__all__ = ["LAYOUTS", "Layout", "chat_template", "is_template_file"]

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """A template, without the beginning-of-sequence token, and the tokens that it needs a tokenizer to have."""

    text: str
    tokens: tuple[str, ...] = ()
    """Without them none of a turn's ends would be a token, and the model could not stop at it."""


_SYSTEM_WITH_FIRST_TURN = (
    "{% if messages and messages[0].role == 'system' %}{% set lead = messages[0].content + '\n\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set lead = '' %}{% set turns = messages %}{% endif %}"
)
"""For layouts without a system turn: its text goes before the first turn of the user."""


def _turns(begin: str, end: str, *, content: str = "m.content", role: str = "m.role", answering: str = "assistant") -> str:
    """A layout in which every turn is `begin`, with {role}, its text, and `end`."""
    turn = begin.replace("{role}", "{{ " + role + " }}") + "{{ " + content + " }}" + end
    return f"{{% for m in messages %}}{turn}{{% endfor %}}{{% if add_generation_prompt %}}{begin.replace('{role}', answering)}{{% endif %}}"


_ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user\\'s questions."
)


def _with_system(default: str, then: str, turns: str) -> str:
    """A layout that begins with the system message, or `default`."""
    lead = "{% if messages and messages[0].role == 'system' %}{{ messages[0].content }}{% set turns = messages[1:] %}"
    return f"{lead}{{% else %}}{{{{ '{default}' }}}}{{% set turns = messages %}}{{% endif %}}{{{{ '{then}' }}}}{{% for m in turns %}}{turns}{{% endfor %}}"


_HERMES = (
    "{% set system = messages[0].content if messages and messages[0].role == 'system' else '' %}"
    "{% set turns = messages[1:] if messages and messages[0].role == 'system' else messages %}"
    "{% if tools or system %}{{ '<|im_start|>system\n' + system }}{% if tools %}{{ '\n\n' if system else '' }}"
    "{{ 'These functions can be called:\n<tools>' }}{% for tool in tools %}{{ '\n' + tool | tojson }}{% endfor %}"
    "{{ '\n</tools>\nA call is a JSON object with the name and the arguments, between <tool_call> and </tool_call>.' }}"
    "{% endif %}{{ '<|im_end|>\n' }}{% endif %}"
    "{% for m in turns %}{% if m.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content }}{% for call in m.tool_calls or [] %}"
    "{{ '\n' if m.content or not loop.first else '' }}{{ '<tool_call>\n' + {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}"
    "{{ '\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

LAYOUTS: Mapping[str, Layout] = {
    "chatml": Layout(_turns("<|im_start|>{role}\n", "<|im_end|>\n"), ("<|im_start|>", "<|im_end|>")),
    "hermes": Layout(_HERMES, ("<|im_start|>", "<|im_end|>")),
    "llama3": Layout(
        _turns("<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>", content="m.content | trim"),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "gemma": Layout(
        _SYSTEM_WITH_FIRST_TURN
        + _turns(
            "<start_of_turn>{role}\n",
            "<end_of_turn>\n",
            content="(lead if loop.first else '') + m.content | trim",
            role="'model' if m.role == 'assistant' else m.role",
            answering="model",
        ).replace("in messages", "in turns"),
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    "mistral": Layout(
        _SYSTEM_WITH_FIRST_TURN
        + "{% for m in turns %}{% if m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}"
        + "{% else %}{{ '[INST] ' + (lead if loop.first else '') + m.content + ' [/INST]' }}{% endif %}{% endfor %}"
    ),
    "phi": Layout(_turns("<|{role}|>\n", "<|end|>\n"), ("<|user|>", "<|assistant|>", "<|end|>")),
    "zephyr": Layout(_turns("<|{role}|>\n", "{{ eos_token }}{{ '\n' }}")),
    "alpaca": Layout(
        _with_system(
            _ALPACA,
            "\\n\\n",
            "{% if m.role == 'assistant' %}{{ m.content + eos_token + '\\n\\n' }}"
            "{% else %}{{ '### Instruction:\\n' + m.content + '\\n\\n### Response:\\n' }}{% endif %}",
        )
    ),
    "vicuna": Layout(
        _with_system(
            _VICUNA,
            " ",
            "{% if m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}{{ 'USER: ' + m.content + ' ASSISTANT:' }}{% endif %}",
        )
    ),
}


def is_template_file(name: str) -> bool:
    """Whether a recipe's `data.chat_template` is a file, and not a name."""
    return name.endswith((".jinja", ".jinja2", ".j2"))


def chat_template(name: str, tokenizer: Any, model: str) -> str:
    """The text of a recipe's `data.chat_template` for a tokenizer: of a layout by its name, with the tokenizer's beginning-of-sequence token
    where it has one, or of a file, as it is.

    Raises: RecipeError, where there is no such layout or file, or where the tokenizer lacks a token that the layout needs.
    """
    if is_template_file(name):
        return _in_file(Path(name).expanduser())
    if name not in LAYOUTS:
        raise RecipeError(f"data.chat_template: no layout {name!r}.{did_you_mean(name, LAYOUTS)} Or name a file that ends in .jinja.")
    layout = LAYOUTS[name]
    known = tokenizer.get_vocab()
    missing = [token for token in layout.tokens if token not in known]
    if missing:
        free = ", ".join(other for other, found in LAYOUTS.items() if not found.tokens)
        raise RecipeError(
            f"data.chat_template: {name} needs the token {missing[0]}, which the tokenizer of {model} does not have. These need none: {free}."
        )
    if not layout.tokens and not tokenizer.eos_token:
        raise RecipeError(f"data.chat_template: {name} ends a turn with the end-of-sequence token, and the tokenizer of {model} has none.")
    return ("{{ bos_token }}" if leading_bos(tokenizer) else "") + layout.text


def _in_file(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise RecipeError(f"data.chat_template: {path}: {path.stat().st_size:,} bytes; a template has at most {_MOST_BYTES:,}.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"data.chat_template: {path}: cannot be read ({error.strerror}). Relative paths start at {Path.cwd()}.") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"data.chat_template: {path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    if not text.strip():
        raise RecipeError(f"data.chat_template: {path}: is empty. Write a Jinja template, or name one of {', '.join(LAYOUTS)}.")
    return text
