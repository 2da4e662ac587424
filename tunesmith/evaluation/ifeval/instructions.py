"""The 25 kinds of verifiable instructions: whether one response follows one instruction.

The words of each docstring are what prompts ask for. A response of white space alone follows none.
Source: Zhou et al. (2023), https://arxiv.org/abs/2311.07911, table 1.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.core.errors import did_you_mean
from tunesmith.core.language import LANGUAGES, is_written_in
from tunesmith.evaluation.ifeval.sentences import count_sentences
from tunesmith.evaluation.strict_json import parse_json

__all__ = ["INSTRUCTIONS", "check", "checked", "checked_row"]

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_HIGHLIGHT = re.compile(r"(\*\*?)(?=[^\s*])[^\n*]*(?<=[^\s*])\1")
_BULLET = re.compile(r"^\s*[*-]\s+\S", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*[^\[\]\s][^\[\]\n]*\]")
_TITLE = re.compile(r"<<[^\n<>]*[^\s<>][^\n<>]*>>")
_WORD = re.compile(r"\w+")
_CAPITALIZABLE = re.compile(r"\w+(?:[-'’.]\w+)*")
_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*(?:```)?", re.DOTALL | re.IGNORECASE)
_FIRST_WORD = re.compile(r"""["'“‘]*([^\s.,?!"'”’]*)""")


def check(instruction_id: str, kwargs: Mapping[str, Any], response: str) -> bool:
    """Whether a response follows an instruction.

    Args:
        instruction_id: one of `INSTRUCTIONS`.
        kwargs: what the instruction asks for exactly, as the published rows have it; those that are None are passed over.
        response: what the model said; white space alone follows nothing.
    Raises: ValueError, for an id or arguments that are not known.
    """
    given = checked(instruction_id, kwargs)
    return bool(response.strip()) and INSTRUCTIONS[instruction_id](response, **given)


def checked(instruction_id: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are not None. Raises: ValueError, in one line, for an id that is not known, and arguments that are missing, not known, or wrong."""
    follows = INSTRUCTIONS.get(instruction_id)
    if follows is None:
        raise ValueError(f"{instruction_id!r} is no instruction of IFEval.{did_you_mean(instruction_id, INSTRUCTIONS)}")
    given = {name: value for name, value in kwargs.items() if value is not None}
    wanted = list(inspect.signature(follows).parameters)[1:]
    if given.keys() != set(wanted):
        raise ValueError(
            f"{instruction_id}: found the arguments {', '.join(sorted(given)) or 'none'}, expected {', '.join(wanted) or 'none'}"
        )
    for name, value in given.items():
        is_right, expected = _ARGUMENTS.get(name, (_is_count, "a whole number of at least 0"))
        if not is_right(value):
            raise ValueError(f"{instruction_id}: {name} is {value!r}, expected {expected}")
    return given


def checked_row(instruction_ids: Any, kwargs: Any) -> list[dict[str, Any]]:
    """The arguments of each instruction of a row, as `checked` gives them. Raises: ValueError, in one line, for what is no row of instructions."""
    if not _are_texts(instruction_ids):
        raise ValueError(f"instruction_id_list: found {instruction_ids!r:.60}, expected a list of texts.")
    if not isinstance(kwargs, list) or len(kwargs) != len(instruction_ids) or not all(isinstance(one, Mapping) for one in kwargs):
        raise ValueError(f"kwargs: found {kwargs!r:.60}, expected an object for each of {len(instruction_ids)} instructions.")
    return [checked(instruction_id, given) for instruction_id, given in zip(instruction_ids, kwargs, strict=True)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_text, value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_relation(value: Any) -> bool:
    return value in ("at least", "less than")


def _is_language(value: Any) -> bool:
    return value in LANGUAGES


_TEXT, _TEXTS = (_is_text, "a text"), (_are_texts, "a list of texts")
_RELATION = (_is_relation, "'at least' or 'less than'")
_ARGUMENTS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("keyword", "letter", "first_word", "postscript_marker", "section_spliter", "prompt_to_repeat", "end_phrase"), _TEXT),
    **dict.fromkeys(("keywords", "forbidden_words"), _TEXTS),
    **dict.fromkeys(("relation", "let_relation", "capital_relation"), _RELATION),
    "language": (_is_language, f"one of {', '.join(sorted(LANGUAGES))}"),
}
"""What each argument may be; all others are counts."""


def _compares(count: int, relation: str, number: int) -> bool:
    return count >= number if relation == "at least" else count < number


def _occurrences(word: str, text: str) -> int:
    """How often a word, or several, stands in a text as a word of its own, whatever its case."""
    return len(re.findall(rf"(?<![^\W_]){re.escape(word.strip())}(?![^\W_])", text, re.IGNORECASE))


def _parts(response: str, divider: str) -> list[str]:
    """What stands between dividers, without surrounding space; before a first and after a last one there may be nothing."""
    parts = [part.strip() for part in response.split(divider)]
    return parts[0 if parts[0] else 1 : len(parts) if parts[-1] else -1]


def keywords_existence(response: str, keywords: Sequence[str]) -> bool:
    """Include these keywords."""
    return all(_occurrences(word, response) for word in keywords)


def keywords_frequency(response: str, keyword: str, frequency: int, relation: str) -> bool:
    """The word should appear at least, or less than, so many times."""
    return _compares(_occurrences(keyword, response), relation, frequency)


def forbidden_words(response: str, forbidden_words: Sequence[str]) -> bool:
    """Do not include these words."""
    return not any(_occurrences(word, response) for word in forbidden_words)


def letter_frequency(response: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    """The letter, of either case, or the sign, should appear at least, or less than, so many times."""
    return _compares(response.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(response: str, language: str) -> bool:
    """The entire response should be in this language."""
    return is_written_in(response, language)


def number_words(response: str, relation: str, num_words: int) -> bool:
    """At least, or less than, so many words: runs of letters, digits and underscores, so that `don't` is two."""
    return _compares(len(_WORD.findall(response)), relation, num_words)


def number_sentences(response: str, relation: str, num_sentences: int) -> bool:
    """At least, or less than, so many sentences."""
    return _compares(count_sentences(response), relation, num_sentences)


def number_paragraphs(response: str, num_paragraphs: int) -> bool:
    """So many paragraphs with the divider `***` between two, and none of them empty."""
    paragraphs = _parts(response, "***")
    return len(paragraphs) == num_paragraphs and all(paragraphs)


def nth_paragraph_first_word(response: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """So many paragraphs with an empty line between two, of which the n-th begins with this word."""
    paragraphs = [part.strip() for part in response.split("\n\n") if part.strip()]
    if len(paragraphs) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    found = _FIRST_WORD.match(paragraphs[nth_paragraph - 1])
    return found is not None and found[1].lower() == first_word.lower()


def postscript(response: str, postscript_marker: str) -> bool:
    """A postscript that starts with `P.S.` or `P.P.S`, of either case and with or without spaces between."""
    letters = [re.escape(letter) for letter in postscript_marker.lower() if not letter.isspace()]
    return re.search(r"(?<!\w)" + r"\s?".join(letters), response.lower()) is not None


def number_placeholders(response: str, num_placeholders: int) -> bool:
    """At least so many placeholders in square brackets, such as `[address]`."""
    return len(_PLACEHOLDER.findall(response)) >= num_placeholders


def number_bullet_lists(response: str, num_bullets: int) -> bool:
    """Exactly so many bullet points: lines that begin with `* ` or `- `."""
    return len(_BULLET.findall(response)) == num_bullets


def title(response: str) -> bool:
    """A title in double angular brackets, such as `<<poem of joy>>`."""
    return _TITLE.search(response) is not None


def constrained_response(response: str) -> bool:
    """One of the phrases "My answer is yes.", "... no." and "... maybe.", and not two."""
    return sum(option in response for option in _OPTIONS) == 1


def number_highlighted_sections(response: str, num_highlights: int) -> bool:
    """At least so many parts highlighted as `*this*` or `**this**`."""
    return sum(1 for _ in _HIGHLIGHT.finditer(response)) >= num_highlights


def multiple_sections(response: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many sections, each marked by this word, letter for letter, and a number."""
    return len(re.findall(rf"(?<!\w){re.escape(section_spliter.strip())}\s?\d+", response)) >= num_sections


def json_format(response: str) -> bool:
    """All of it JSON, within ``` or not."""
    text = response.strip()
    fenced = _FENCED.fullmatch(text)
    try:
        parse_json(fenced[1] if fenced else text)
    except ValueError:
        return False
    return True


def repeat_prompt(response: str, prompt_to_repeat: str) -> bool:
    """First the request again, word for word, and nothing before it; case does not count."""
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def two_responses(response: str) -> bool:
    """Two different responses with six asterisks between them."""
    responses = _parts(response, "******")
    return len(responses) == 2 and all(responses) and responses[0] != responses[1]


def english_capital(response: str) -> bool:
    """English, in capital letters only."""
    return response.isupper() and is_written_in(response, "en")


def english_lowercase(response: str) -> bool:
    """English, in small letters only."""
    return response.islower() and is_written_in(response, "en")


def capital_word_frequency(response: str, capital_relation: str, capital_frequency: int) -> bool:
    """Words in all capital letters at least, or less than, so many times; hyphens, apostrophes and points stand within a word."""
    return _compares(sum(word.isupper() for word in _CAPITALIZABLE.findall(response)), capital_relation, capital_frequency)


def end_checker(response: str, end_phrase: str) -> bool:
    """The response ends with this phrase; case and quotation marks around the response do not count."""
    return response.strip().strip('"').strip().lower().endswith(end_phrase.strip().lower())


def quotation(response: str) -> bool:
    """The entire response in double quotation marks."""
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def no_comma(response: str) -> bool:
    """No commas."""
    return "," not in response


INSTRUCTIONS: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": keywords_existence,
    "keywords:frequency": keywords_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "punctuation:no_comma": no_comma,
}
"""Instruction id -> what verifies a response; its arguments after the first are those of the published rows."""
