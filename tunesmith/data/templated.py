"""A conversation as the text that a model's chat template makes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import ModelError
from tunesmith.data._sandbox import TemplateFailure, sandbox
from tunesmith.data.render import Renderer

__all__ = ["required_chat_template", "templated"]


def required_chat_template(tokenizer: Any, model: str) -> str:
    """The tokenizer's template. Raises: ModelError, where it has none, or several and none is the default; `model`: what messages call the model."""
    template = Renderer(tokenizer, model).chat_template
    if template is None:
        raise ModelError(f"{model}: its tokenizer has no chat template. Leave --chat-template out, or name a model that has one.")
    return template


def templated(tokenizer: Any, model: str, messages: Sequence[Mapping[str, str]], *, answers: bool) -> str:
    """The text of a conversation, special tokens spelled out.

    Args:
        messages: system messages are left out where the template refuses the conversation with them.
        answers: whether the assistant is asked to answer; else the text ends with the last message, to be gone on with.
    Raises: ModelError, where there is no template, or it fails.
    """
    template = required_chat_template(tokenizer, model)
    variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if not isinstance(token, list | tuple)}
    try:
        found = sandbox().render(template, variables, [(list(messages), [(len(messages), answers)], [])])[0][0]
    except TemplateFailure as failure:
        others = [message for message in messages if message["role"] != "system"]
        if failure.kind == "refused" and 0 < len(others) < len(messages):
            return templated(tokenizer, model, others, answers=answers)
        raise ModelError(
            f"{model}: its chat template fails on a prompt ({failure.kind}: {failure.said[:160]}). Leave --chat-template out."
        ) from None
    if answers:
        return found
    last = messages[-1]["content"].strip()
    if last not in found:
        raise ModelError(f"{model}: its chat template alters the beginning of an answer ({last[:60]!r}). Leave --chat-template out.")
    return found[: found.rindex(last) + len(last)]
