"""The same text written another way: what a model should not mind.

Robustness: typing errors, case, spacing, contractions, another way to ask. Fairness: names and words of gender swapped.
Each is a function of the text and of a random generator, so that the same seed gives the same text; a text in which there is nothing to change comes
back as it is. Word lists are small and of English, made for this project: they find some of what there is to swap, and stand for no group as a whole.
Source: Liang et al. (2022), "Holistic Evaluation of Language Models", https://arxiv.org/abs/2211.09110, sections 4.5 and 4.6.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tunesmith.core.types import Chat, Choice, Completion, Example, Labelled, MultiLabelled, Prompt, Rated

__all__ = ["FAIRNESS", "ROBUSTNESS", "Perturbation", "perturbed", "rewritten"]

Perturbation = Callable[[str, random.Random], str]

_TYPO_SHARE = 0.1
"""Of the words of four letters or more."""
_LONG_WORD = re.compile(r"[A-Za-z]{4,}")
_SPACE = re.compile(r" ")
_CONTRACTIONS = {
    "do not": "don't", "does not": "doesn't", "did not": "didn't", "is not": "isn't", "are not": "aren't", "was not": "wasn't", "were not": "weren't",
    "has not": "hasn't", "have not": "haven't", "had not": "hadn't", "can not": "can't", "cannot": "can't", "could not": "couldn't", "will not": "won't",
    "would not": "wouldn't", "should not": "shouldn't", "it is": "it's", "that is": "that's", "there is": "there's", "what is": "what's", "who is": "who's",
    "i am": "i'm", "i have": "i've", "i will": "i'll", "you are": "you're", "you have": "you've", "you will": "you'll", "we are": "we're",
    "we have": "we've", "we will": "we'll", "they are": "they're", "they have": "they've", "they will": "they'll", "let us": "let's",
}  # fmt: skip
_WHOLE = {short: whole for whole, short in _CONTRACTIONS.items() if whole != "can not"}
_REQUESTS = ("{}\n\nAnswer as well as you can.", "Here is what I need.\n\n{}", "I would like your help with this:\n\n{}")
_GENDER = {
    "he": "she", "him": "her", "his": "her", "himself": "herself", "man": "woman", "men": "women", "boy": "girl", "boys": "girls", "father": "mother",
    "fathers": "mothers", "dad": "mom", "son": "daughter", "sons": "daughters", "brother": "sister", "brothers": "sisters", "husband": "wife",
    "husbands": "wives", "uncle": "aunt", "nephew": "niece", "grandfather": "grandmother", "king": "queen", "prince": "princess", "actor": "actress",
    "actors": "actresses", "waiter": "waitress", "mr": "ms", "sir": "madam", "gentleman": "lady", "gentlemen": "ladies", "male": "female", "males": "females",
}  # fmt: skip
_SWAPPED_GENDER = _GENDER | {other: one for one, other in _GENDER.items() if other != "her"} | {"mrs": "mr", "hers": "his"}
_HER = re.compile(r"\bher\b(?=\s+[a-z])(?!\s+(?:and|or|but|to|in|on|at|for|with|that|when|as|if|because|so|the|a|an)\b)", re.IGNORECASE)
"""`her` before a word that it may belong to: his; elsewhere: him."""
_NAMES = (
    (
        "Adam",
        "Andrew",
        "Brad",
        "Greg",
        "Matthew",
        "Paul",
        "Amanda",
        "Emily",
        "Heather",
        "Katie",
        "Laura",
        "Sarah",
        "James",
        "John",
        "Mary",
        "Anne",
    ),
    (
        "Jamal",
        "Darnell",
        "Tyrone",
        "DeShawn",
        "Hakim",
        "Rasheed",
        "Ebony",
        "Lakisha",
        "Latoya",
        "Tanisha",
        "Aisha",
        "Keisha",
        "Malik",
        "Kareem",
        "Imani",
        "Nia",
    ),
)
_OTHER_NAME = {name: other for group, others in (_NAMES, _NAMES[::-1]) for name, other in zip(group, others, strict=True)}


def typos(text: str, rng: random.Random) -> str:
    """One letter of about every tenth longer word is left out, doubled, or changes places with the next; first letters stay."""

    def mistyped(found: re.Match[str]) -> str:
        word = found[0]
        if rng.random() >= _TYPO_SHARE:
            return word
        at = rng.randrange(1, len(word) - 1)
        changed = (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + word[at + 1] + word[at] + word[at + 2 :])
        return rng.choice(changed)

    return _LONG_WORD.sub(mistyped, text)


def small_letters(text: str, rng: random.Random) -> str:
    """No capital letters."""
    return text.lower()


def capital_letters(text: str, rng: random.Random) -> str:
    """Capital letters only."""
    return text.upper()


def spacing(text: str, rng: random.Random) -> str:
    """Each space becomes one to three."""
    return _SPACE.sub(lambda found: " " * rng.randint(1, 3), text)


def contractions(text: str, rng: random.Random) -> str:
    """`do not` becomes `don't`."""
    return _swapped(text, _CONTRACTIONS)


def no_contractions(text: str, rng: random.Random) -> str:
    """`don't` becomes `do not`."""
    return _swapped(text.replace("’", "'"), _WHOLE)


def paraphrase(text: str, rng: random.Random) -> str:
    """The same text within another request, of three."""
    return rng.choice(_REQUESTS).format(text)


def gender(text: str, rng: random.Random) -> str:
    """Words for women and men change places; `her` becomes `his` before a word that it may belong to, else `him`."""
    marked = _HER.sub(lambda found: _cased("his", found[0]) + "\x00", text)  # not to be swapped back
    swapped = _swapped(marked, _SWAPPED_GENDER | {"her": "him"}, unless="\x00")
    return swapped.replace("\x00", "")


def names(text: str, rng: random.Random) -> str:
    """First names that are commoner among white people of the United States change places with names that are commoner among black people."""
    return re.sub(rf"\b({'|'.join(_OTHER_NAME)})\b", lambda found: _OTHER_NAME[found[0]], text)


ROBUSTNESS: Mapping[str, Perturbation] = {
    "typos": typos,
    "small_letters": small_letters,
    "capital_letters": capital_letters,
    "spacing": spacing,
    "contractions": contractions,
    "no_contractions": no_contractions,
    "paraphrase": paraphrase,
}
FAIRNESS: Mapping[str, Perturbation] = {"gender": gender, "names": names}


def perturbed(text: str, name: str, *, seed: int, row: int) -> str:
    """A text as the perturbation of that name, one of `ROBUSTNESS` or `FAIRNESS`, writes it: always the same for the same seed, row and text."""
    return {**ROBUSTNESS, **FAIRNESS}[name](text, random.Random(f"{seed}:{row}:{name}"))


def rewritten(example: Example, name: str, *, seed: int) -> Example | None:
    """An example whose question is written as `perturbed` does, its answer as it was; None for kinds whose answer stands in the question (spans, tags), or
    that are no question.
    """

    def again(text: str) -> str:
        return perturbed(text, name, seed=seed, row=example.origin.row)

    match example:
        case Labelled(text=text, text_pair=pair) | MultiLabelled(text=text, text_pair=pair) | Rated(text=text, text_pair=pair):
            return replace(example, text=again(text), text_pair=None if pair is None else again(pair))
        case Completion(source=source):
            return replace(example, source=again(source))
        case Choice(question=question):
            return replace(example, question=again(question))
        case Chat(messages=turns) | Prompt(messages=turns):
            return replace(
                example, messages=tuple(replace(turn, content=again(turn.content)) if turn.role == "user" else turn for turn in turns)
            )
        case _:
            return None


def _swapped(text: str, pairs: Mapping[str, str], *, unless: str = "") -> str:
    """Every key that stands in the text as words of its own, replaced, its first letter's case kept; not where `unless` follows it."""
    keys = "|".join(re.escape(key) for key in sorted(pairs, key=len, reverse=True))
    ending = rf"(?!{re.escape(unless)})" if unless else ""
    return re.sub(rf"\b({keys})\b{ending}", lambda found: _cased(pairs[found[0].lower()], found[0]), text, flags=re.IGNORECASE)


def _cased(word: str, like: str) -> str:
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word
