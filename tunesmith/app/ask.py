"""A question to an index of documents: passages are found, and a model answers from them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunesmith.app.chat import load_speaker
from tunesmith.app.index import Found, open_index
from tunesmith.app.interruption import Interruption
from tunesmith.app.learned import checked_length
from tunesmith.app.pieces import spoken
from tunesmith.context.passages import cited, request
from tunesmith.core.endpoint import Endpoint
from tunesmith.core.errors import UsageError
from tunesmith.core.events import Event, Stage
from tunesmith.core.types import Message

__all__ = ["DEFAULT_MODEL", "ask"]

DEFAULT_MODEL = "smollm2-135m-instruct"
_MOST_TOKENS = 256
"""Of an answer, where nothing else is said."""


def ask(
    folder: Path,
    question: str,
    *,
    model: str | None = None,
    endpoint: str | None = None,
    count: int = 5,
    max_new_tokens: int | None = None,
    answers: bool = True,
    user: str | None = None,
    remembers: bool = True,
    tell: Callable[[str], None] = lambda piece: None,
    progress: Callable[[Event], None] | None = None,
) -> dict[str, Any]:
    """Find passages, and let a model answer from them.

    Args:
        model: a language model or a run of one; None: the embedded one. `endpoint`: one behind an address, NAME@URL, in its place.
        count: passages that are looked for, as far as the model's window holds them.
        answers: whether a model is asked at all; else the passages are all there is.
        user: who asks. What the index keeps of that person is searched too, the profile is shown to the model, and question and answer are kept, where it `remembers`.
        tell: is given the answer piece by piece.
    Returns: {schema, index, question, passages, model, answer, cut, cited, context}. Each passage is {number, document, start, end, headings, text, by_meaning, by_words, kept_of}: its place in
        either ranking, or null, and whether it is everybody's (`all`) or of the one who asks (`documents`, `history`). `context`: {tokens, window, share, dropped}: tokens of the request, those that the model can take, and passages that did not fit; null of an
        endpoint, whose window is not known. `model`, `answer`, `cut`, `cited` and `context` are null where no model is asked.
    Raises: UsageError, where there is no index, its vectors' model is another by now, the question is empty, or nothing fits the model's window; ModelError; FetchError.
    """
    speaker, index = _named(model, endpoint), open_index(folder)
    with Interruption() as interruption:
        say = interruption.checked(progress)
        say(Stage("search", str(folder)))
        found = index.search(question, count, user)
        who = index.known_person(user)
        profile = who.profile if who is not None else ""
        document: dict[str, Any] = {
            "schema": "tunesmith/ask/1",
            "index": str(folder),
            "question": question,
            "passages": [_said(number, one) for number, one in enumerate(found, start=1)],
        }
        if not answers:
            return document | dict.fromkeys(("model", "answer", "cut", "cited", "context"))
        say(Stage("model", speaker))
        most = checked_length(max_new_tokens) or _MOST_TOKENS
        if endpoint is not None:
            answer, is_cut, context = _by_endpoint(Endpoint.named(endpoint), question, found, profile, most)
            tell(answer)
        else:
            answer, is_cut, context = _by_model(speaker, question, found, profile, most, tell)
        if user is not None and remembers:
            index.person(user).remember(question, answer, index.vectors)
    shown = len(found) - (context["dropped"] if context else 0)
    return document | {
        "model": speaker,
        "answer": answer.strip(),
        "cut": is_cut,
        "cited": cited(answer, shown),
        "context": context,
    }


def _named(model: str | None, endpoint: str | None) -> str:
    """Who answers."""
    if model is not None and endpoint is not None:
        raise UsageError("a model and an endpoint: name one of them.")
    return endpoint or model or DEFAULT_MODEL


def _said(number: int, found: Found) -> dict[str, Any]:
    one = found.passage
    place = {"number": number, "document": one.document, "start": one.start, "end": one.end, "headings": list(one.headings)}
    return {**place, "text": one.text, "by_meaning": found.by_meaning, "by_words": found.by_words, "kept_of": found.kept_of}


def _by_endpoint(endpoint: Endpoint, question: str, found: Sequence[Found], profile: str, most: int) -> tuple[str, bool, None]:
    asked = [Message("user", request(question, [one.passage for one in found], profile))]
    reply = endpoint.chat(asked, max_tokens=most, temperature=0.0, top_p=1.0, seed=0)
    return reply.text, reply.is_cut, None


def _by_model(
    name: str, question: str, found: Sequence[Found], profile: str, most: int, tell: Callable[[str], None]
) -> tuple[str, bool, dict[str, Any]]:
    speaker = load_speaker(name)
    window = speaker.model.facts.max_length
    for kept in range(len(found), -1, -1):
        asked = [Message("user", request(question, [one.passage for one in found[:kept]], profile))]
        num_tokens = speaker.num_prompt_tokens(asked)
        if num_tokens + most <= window and (kept or not found):
            break
    else:
        raise UsageError(f"{name}: reads {window:,} tokens, and not one passage fits with the question and {most:,} tokens to answer.")
    answer, cut_at = spoken(speaker.stream(asked, most), tell)
    context = {"tokens": num_tokens, "window": window, "share": num_tokens / window, "dropped": len(found) - kept}
    return answer, cut_at is not None, context
