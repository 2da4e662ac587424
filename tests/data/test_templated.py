"""A conversation as a chat template writes it, with the assistant asked to answer or its answer begun."""

import pytest
from transformers import PreTrainedTokenizerFast

from tests.model.tiny import tokenizer
from tunesmith.core.errors import ModelError
from tunesmith.data.templated import templated

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}<{{ m.role }}>{{ m.content | trim }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
MESSAGES = [{"role": "user", "content": "the cat sat "}, {"role": "assistant", "content": "a mat:"}]


@pytest.fixture
def made() -> PreTrainedTokenizerFast:
    found = tokenizer()
    found.chat_template = TEMPLATE
    return found


def test_it_is_what_transformers_writes(made: PreTrainedTokenizerFast) -> None:
    asked, begun = (
        made.apply_chat_template(messages, tokenize=False, **options)
        for messages, options in (
            (MESSAGES[:1], {"add_generation_prompt": True}),
            (MESSAGES, {"continue_final_message": True}),
        )
    )
    assert templated(made, "tiny", MESSAGES[:1], answers=True) == asked == "<user>the cat sat</s>\n<assistant>"
    assert templated(made, "tiny", MESSAGES, answers=False) == begun
    assert begun.endswith("<assistant>a mat:")


def test_a_system_message_that_is_refused_is_left_out(made: PreTrainedTokenizerFast) -> None:
    system = {"role": "system", "content": "good dog"}
    assert templated(made, "tiny", [system, MESSAGES[0]], answers=True) == templated(made, "tiny", MESSAGES[:1], answers=True)
    with pytest.raises(ModelError, match="tiny: its chat template fails on a prompt .*no system role"):
        templated(made, "tiny", [system], answers=True)


def test_without_a_template_there_is_nothing_to_write() -> None:
    with pytest.raises(ModelError, match="tiny: its tokenizer has no chat template"):
        templated(tokenizer(), "tiny", MESSAGES[:1], answers=True)
