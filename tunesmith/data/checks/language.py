"""The language of a text, by its script and its commonest words: honest about texts that are too short to tell.

Scripts that one language writes tell it at once; Latin, Cyrillic and Arabic letters are told apart by function words, which make up a good third
of running text in each language and are rarely lent to another. No model, no probabilities: a text in which too few of them stand is `unclear`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tunesmith.core.types import Example
from tunesmith.data.checks.finding import Finding, Splits, finding
from tunesmith.data.checks.texts import full_text, words

__all__ = ["UNCLEAR", "find_languages", "language_of", "language_shares"]

UNCLEAR = "unclear"
_LONGEST = 1000
"""Characters of a text that are looked at."""
_FOREIGN = 0.05
"""Share of a language from which a second one is worth a note, or its absence from training a warning."""

_SCRIPTS = {
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af\u1100-\u11ff",
    "zh": "\u4e00-\u9fff\u3400-\u4dbf",
    "el": "\u0370-\u03ff",
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "ta": "\u0b80-\u0bff",
    "th": "\u0e00-\u0e7f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "cyrillic": "\u0400-\u04ff",
    "arabic": "\u0600-\u06ff",
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}
_SCRIPT = {name: re.compile(f"[{characters}]") for name, characters in _SCRIPTS.items()}

_WORDS = {
    "latin": {
        "en": "the and of to a an in on is that it you was for with this are have not but what your be they his from can my we she were been which at by as there",
        "de": "der die und das ist nicht ich ein eine einen einem einer in zu mit auf für den dem des sie es auch wir von im sich wird sind bei oder aber nach am an",
        "fr": "le la les et des est un une dans que pour pas je vous qui sur avec ce du de nous au à en il elle sont mais ne plus cette ou son ses par",
        "es": "el los las la y en de que un una por con para es está pero como más del lo se su muy esto también hay le sus cuando al",
        "it": "il che di è non un una in per con sono gli della le la anche ma questo nel ho come più alla dei delle si mi e al",
        "pt": "os as o a e de em que não um uma para com do da mais por se você está mas ao dos das na no são como foi é",
        "nl": "het een de en van ik in niet dat is zijn op voor met je er maar ook wat bij aan naar deze wordt uit nog te",
        "sv": "och det att är en ett i som på jag inte för med den har vi du om men var till av så kan de",
        "da": "og det er jeg ikke på til en et i som har for med den vi du at af men var så kan være de",
        "fi": "ja on ei se että oli mutta niin kun hän ole tämä kuin sen joka hyvin myös ovat minä",
        "pl": "nie się jest i w z to na że do jak co ale tak dla po jestem przez od przy był są oraz tego",
        "cs": "je se že a v s na to jsem jako jsou pro ale tak by jeho aby nebo byl který už ve",
        "ro": "și nu este o în la cu de pe un că mai din sunt pentru care sau fost ce dar lui",
        "tr": "bir ve bu için çok ne ama var da de mi gibi ben olarak daha ile değil olan o",
        "id": "yang dan di ini itu dengan untuk tidak dari ke akan ada pada saya adalah juga oleh dalam",
        "vi": "là và của không có được cho một này với những các tôi người đã trong để",
        "hu": "a az és hogy nem egy is van meg ez de volt csak mint már vagy el még",
    },
    "cyrillic": {
        "ru": "и в не на что я с он как это по но они мы из у за то все так его только был от бы вы",
        "uk": "і в не на що я з він як це по але вони ми та за то все так його тільки був від й є",
        "bg": "и в не на че аз с той как това по но те ние от за то се да е са ще съм",
    },
    "arabic": {
        "ar": "في من على أن إلى هذا التي عن لا ما مع هو كان أو هذه ذلك",
        "fa": "و در به از که این را با است برای آن یک خود تا می",
        "ur": "کے کی میں ہے اور سے کا کو پر نے یہ ہیں اس",
    },
}
_LETTERS = {
    "ru": "ыэё",
    "uk": "іїєґ",
    "pl": "łęśżźń",
    "cs": "řůě",
    "hu": "őű",
    "tr": "ğı",
    "ro": "țș",
    "de": "ß",
    "es": "ñ",
    "pt": "ãõ",
    "vi": "ơưạả",
}
"""Letters that, of the languages of a script here, one alone writes: half a word each."""
_OWNERS = {letter: language for language, letters in _LETTERS.items() for letter in letters}
_OWN_LETTERS = re.compile(f"[{''.join(_OWNERS)}]")


def _profiles(script: str) -> dict[str, dict[str, float]]:
    """Word -> language -> weight: a word that several languages share counts less for each."""
    weights: dict[str, dict[str, float]] = {}
    owners = Counter(word for listed in _WORDS[script].values() for word in listed.split())
    for language, listed in _WORDS[script].items():
        for word in listed.split():
            weights.setdefault(word, {})[language] = 1 / owners[word]
    return weights


_PROFILES = {script: _profiles(script) for script in _WORDS}


def language_of(text: str) -> str:
    """The code (ISO 639-1) of a text's language, or `unclear`: too short, mixed, or of a language that is not known here."""
    text = text[:_LONGEST]
    letters = {name: len(pattern.findall(text)) for name, pattern in _SCRIPT.items()}
    total = sum(letters.values())
    if not total:
        return UNCLEAR
    if letters["ja"] and letters["ja"] + letters["zh"] > total / 2:  # Japanese writes Chinese characters too
        return "ja"
    script = max(letters, key=lambda name: letters[name])
    if letters[script] <= total / 2:
        return UNCLEAR
    return _by_words(text.casefold(), script) if script in _PROFILES else script


def _by_words(text: str, script: str) -> str:
    found = words(text)
    scores: dict[str, float] = dict.fromkeys(_WORDS[script], 0.0)
    distinct: dict[str, set[str]] = {language: set() for language in scores}
    for letter in _OWN_LETTERS.findall(text):
        language = _OWNERS[letter]
        if language in scores:
            scores[language] += 0.5
            distinct[language].add(letter)
    for word in found:
        for language, weight in _PROFILES[script].get(word, {}).items():
            scores[language] += weight
            distinct[language].add(word)
    first, second = sorted(scores, key=lambda language: -scores[language])[:2]
    is_clear = scores[first] >= 1.5 * scores[second] and len(distinct[first]) > 1 and scores[first] >= 0.08 * len(found)
    return first if is_clear else UNCLEAR


def language_shares(examples: Sequence[Example]) -> dict[str, int]:
    """Language -> rows, the most frequent first; `unclear` is one of them."""
    return dict(Counter(language_of(full_text(example)) for example in examples).most_common())


def find_languages(splits: Splits, counted: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Notes for a second language in a split; warnings for one that is judged and hardly learned. `counted`: split -> `language_shares`."""
    found = list[Finding]()
    first = next(iter(counted), None)
    for split, shares in counted.items():
        known = {language: count for language, count in shares.items() if language != UNCLEAR}
        total = sum(known.values())
        main = next(iter(known), None)
        for language, count in known.items():
            if language == main or count < max(_FOREIGN * total, 3):
                continue
            rows = [row for row in splits[split] if language_of(full_text(row)) == language]
            text = f"{count:,} of the {total:,} rows of {split} whose language is clear are in {language}, most are in {main}."
            found.append(finding("languages", "note", split, rows, text))
        learned = counted[first] if first is not None else {}
        num_learned = sum(count for language, count in learned.items() if language != UNCLEAR)
        for language, count in known.items():
            if split != first and count >= max(_FOREIGN * total, 3) and num_learned and learned.get(language, 0) < 0.01 * num_learned:
                rows = [row for row in splits[split] if language_of(full_text(row)) == language]
                text = f"{count / total:.0%} of {split} is in {language}, of which {first} holds next to nothing."
                found.append(finding("languages", "warning", f"{first}/{split}", rows, text))
    return found
