"""Answers that are made to follow an instruction, or just to miss it."""

import json
import random
from collections.abc import Callable
from typing import Any

from tests.core.test_language import ARTICLE

__all__ = ["made"]

Maker = Callable[[dict[str, Any], str, random.Random], str]


def made(instruction: str, kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    """A text changed so that it follows the instruction, or just misses it."""
    return _MAKERS[instruction.split(":")[1]](kwargs, text, draw)


def _near(number: int, draw: random.Random) -> int:
    return max(0, number + draw.choice((-1, 0, 0, 1)))


def _existence(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    wanted = kwargs["keywords"]
    return " ".join([text, *draw.sample(wanted, min(_near(len(wanted), draw), len(wanted)))])


def _frequency(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    word = kwargs["keyword"]
    return " ".join([text, *(draw.choice((word, word.upper(), f"{word}.")) for _ in range(_near(kwargs["frequency"], draw)))])


def _letter(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return "".join(c for c in text if c.lower() != kwargs["letter"]) + kwargs["letter"] * _near(kwargs["let_frequency"], draw)


def _number_words(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    words, count = text.split(), kwargs["num_words"]
    return " ".join((words * (count // len(words) + 2))[: _near(count, draw)])


def _sentences(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    words = [word.strip(".!?\"'") or "so" for word in text.split()]
    made = (f"{' '.join(draw.choices(words, k=6)).capitalize()}{draw.choice('..!?')}" for _ in range(_near(kwargs["num_sentences"], draw)))
    return " ".join(made)


def _paragraphs(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return draw.choice(("\n***\n", " *** ")).join([text] * _near(kwargs["num_paragraphs"], draw))


def _first_word(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    parts, word = [text] * _near(kwargs["num_paragraphs"], draw), kwargs["first_word"]
    parts[kwargs["nth_paragraph"] - 1 : kwargs["nth_paragraph"]] = [f"{draw.choice((word, word.capitalize(), 'Other'))} {text}"]
    return "\n\n".join(parts)


def _highlights(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    marks = [draw.choice(("*", "**")) for _ in range(_near(kwargs["num_highlights"], draw))]
    return " ".join([text, *(f"{mark}{draw.choice(text.split())}{mark}" for mark in marks)])


def _bullets(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return text + "".join(f"\n{draw.choice('*-')} {text}" for _ in range(_near(kwargs["num_bullets"], draw)))


def _sections(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return "\n".join(f"{kwargs['section_spliter']} {number}\n{text}" for number in range(1, _near(kwargs["num_sections"], draw) + 1))


def _capital_words(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return " ".join([text.lower(), *(draw.choice(text.split()).upper() for _ in range(_near(kwargs["capital_frequency"], draw)))])


def _postscript(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    marker = kwargs["postscript_marker"]
    return f"{text}\n\n{draw.choice((marker, marker.lower(), marker.replace('.', '')))} More."


def _repeated(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    prompt = kwargs["prompt_to_repeat"]
    return f"{draw.choice((prompt, prompt.upper(), f'Sure. {prompt}'))}\n{text}"


def _ended(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    phrase = kwargs["end_phrase"]
    return f"{text}\n{draw.choice((phrase, phrase.upper(), f'{phrase} Bye'))}"


def _two(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return "\n******\n".join([text, *draw.choices(text.split(), k=_near(1, draw))])


def _json(kwargs: dict[str, Any], text: str, draw: random.Random) -> str:
    return draw.choice(("{}", "```json\n{}\n```", "Here: {}")).format(json.dumps({"text": text}))


_MAKERS: dict[str, Maker] = {
    "existence": _existence,
    "frequency": _frequency,
    "forbidden_words": lambda kwargs, text, draw: " ".join([text, *draw.sample(kwargs["forbidden_words"], draw.randint(0, 1))]),
    "letter_frequency": _letter,
    "response_language": lambda kwargs, text, draw: ARTICLE[draw.choice((kwargs["language"], draw.choice(list(ARTICLE))))],
    "number_words": _number_words,
    "number_sentences": _sentences,
    "number_paragraphs": _paragraphs,
    "nth_paragraph_first_word": _first_word,
    "number_placeholders": lambda kwargs, text, draw: text + " [name]" * _near(kwargs["num_placeholders"], draw),
    "postscript": _postscript,
    "number_bullet_lists": _bullets,
    "number_highlighted_sections": _highlights,
    "multiple_sections": _sections,
    "title": lambda kwargs, text, draw: draw.choice(("<<{}>>", "<{}>", "<< {} >>\n")).format(text.replace("\n", " ")),
    "constrained_response": lambda kwargs, text, draw: f"{text} {draw.choice(('My answer is yes.', 'My answer is no.', 'yes'))}",
    "json_format": _json,
    "two_responses": _two,
    "repeat_prompt": _repeated,
    "capital_word_frequency": _capital_words,
    "english_capital": lambda kwargs, text, draw: draw.choice((text.upper(), text.upper(), text)),
    "english_lowercase": lambda kwargs, text, draw: draw.choice((text.lower(), text.lower(), text)),
    "end_checker": _ended,
    "quotation": lambda kwargs, text, draw: draw.choice((f'"{text}"', f'"{text}', text)),
    "no_comma": lambda kwargs, text, draw: draw.choice((text.replace(",", ""), text)),
}
