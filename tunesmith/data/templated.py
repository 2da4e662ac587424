"""A conversation as the text that a model's chat template makes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import ModelError
from tunesmith.data._sandbox import TemplateFailure, sandbox
from tunesmith.data.render import Renderer

__all__ = ["has_chat_template", "templated"]


def has_chat_template(tokenizer: Any, model: str) -> bool:
    """Whether the tokenizer has one. Raises: ModelError, where it has several and none is the default."""
    return Renderer(tokenizer, model).chat_template is not None


def templated(tokenizer: Any, model: str, messages: Sequence[Mapping[str, str]], *, answers: bool) -> str:
    """The text of a conversation, special tokens spelled out.

    Args:
        model: what messages of errors call it.
        answers: whether the assistant is asked to answer; else the text ends with the last message, to be gone on with.
    Raises: ModelError, where there is no template, or it fails.
    """
    template = Renderer(tokenizer, model).chat_template
    if template is None:
        raise ModelError(f"{model}: its tokenizer has no chat template. Leave --chat-template out, or name a model that has one.")
    variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if not isinstance(token, list | tuple)}
    try:
        found = sandbox().render(template, variables, [(list(messages), [(len(messages), answers)], [])])[0][0]
    except TemplateFailure as failure:
        raise ModelError(
            f"{model}: its chat template fails on a prompt ({failure.kind}: {failure.said[:160]}). Leave --chat-template out."
        ) from None
    if answers:
        return found
    last = messages[-1]["content"].strip()
    if last not in found:
        raise ModelError(f"{model}: its chat template alters the beginning of an answer ({last[:60]!r}). Leave --chat-template out.")
    return found[: found.rindex(last) + len(last)]
