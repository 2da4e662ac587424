"""The language of a text, by its script and its commonest words: honest about texts that are too short to tell.

Scripts that one language writes tell it at once; the languages of Latin, Cyrillic, Arabic and Devanagari letters are told apart by function words,
which make up a good third of running text in each language and are rarely lent to another. No model, no probabilities: a text in which too few of
them stand is `unclear`.
"""

import re
from collections import Counter

__all__ = ["LANGUAGES", "UNCLEAR", "is_written_in", "language_of", "words"]

UNCLEAR = "unclear"
_LONGEST = 1000
"""Characters of a text that are looked at to name its language."""

_SCRIPTS = {
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af\u1100-\u11ff",
    "zh": "\u4e00-\u9fff\u3400-\u4dbf",
    "el": "\u0370-\u03ff",
    "he": "\u0590-\u05ff",
    "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "th": "\u0e00-\u0e7f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "devanagari": "\u0900-\u0963\u0966-\u097f",
    "cyrillic": "\u0400-\u04ff",
    "arabic": "\u0600-\u06ff",
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}
_SCRIPT = {name: re.compile(f"[{characters}]") for name, characters in _SCRIPTS.items()}
_LETTER = "(?:[^\\W_]|[\u0900-\u0963\u0966-\u0d7f])"  # Python counts the vowel signs of India's scripts as no part of a word
_WORD = re.compile(f"{_LETTER}+(?:['’]{_LETTER}+)*")

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
        "cs": "je se že a v na s to jsem jako jsou pro ale tak by jeho aby nebo byl který už ve",
        "ro": "și nu este o în la cu de pe un că mai din sunt pentru care sau fost ce dar lui",
        "tr": "bir ve bu için çok ne ama var da de mi gibi ben olarak daha ile değil olan o",
        "id": "yang dan di ini itu dengan untuk tidak dari ke akan ada pada saya adalah juga oleh dalam",
        "sw": "ya wa na kwa ni katika za la cha vya kuwa hii hiyo yake wake kama lakini pia sana watu au si mimi yetu yangu hata",
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
    "devanagari": {
        "hi": "है हैं के का की में और से को यह पर कि ने था एक लिए नहीं हो भी तो ही इस मैं जो",
        "mr": "आहे आहेत आणि हे या ते मध्ये नाही होते म्हणून साठी एक ही तर व त्या असे मी आपण तुम्ही आपल्या पण जे",
        "ne": "छ छन् र यो हो पनि लागि भने गर्ने गर्न एक छैन हुन्छ तर मेरो म त्यो हामी तपाईं भएको वा",
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
    "ar": "ةإ",
    "ur": "ٹڈڑںے",
    "mr": "ळ",
}
"""Letters that, of the languages of a script here, one alone writes: half a word each."""
_OWNERS = {letter: language for language, letters in _LETTERS.items() for letter in letters}
_OWN_LETTERS = re.compile(f"[{''.join(_OWNERS)}]")

LANGUAGES = frozenset({*(_SCRIPTS.keys() - _WORDS.keys()), *(language for listed in _WORDS.values() for language in listed)})
"""Codes (ISO 639-1) of the languages that are told here."""


def words(text: str) -> list[str]:
    """The words of a text, case-folded, without punctuation; digits count as letters."""
    return _WORD.findall(text.casefold())


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
    script = _script(text)
    if script not in _PROFILES:
        return script
    scores, distinct = _evidence(text, script)
    first, second = sorted(scores, key=lambda language: -scores[language])[:2]
    is_clear = scores[first] >= 1.5 * scores[second] and len(distinct[first]) > 1 and scores[first] >= 0.08 * len(words(text))
    return first if is_clear else UNCLEAR


def is_written_in(text: str, language: str) -> bool:
    """Whether nothing speaks against it: most letters are of the language's script, and no other language of that script has two or more of its words there
    that weigh more than this one's.

    So a text that is too short to tell may be in any language of its script.
    Raises: ValueError, for a code that is not one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is no language that is told here: {', '.join(sorted(LANGUAGES))}")
    script = _script(text)
    if script not in _PROFILES:
        return script == language
    scores, distinct = _evidence(text, script)
    return language in scores and not any(len(distinct[other]) > 1 and weight > scores[language] for other, weight in scores.items())


def _script(text: str) -> str:
    """The script of most letters, a name of `_SCRIPTS`; `unclear` where none has more than half of them."""
    letters = {name: len(pattern.findall(text)) for name, pattern in _SCRIPT.items()}
    total = sum(letters.values())
    if letters["ja"] and letters["ja"] + letters["zh"] > total / 2:  # Japanese writes Chinese characters too
        return "ja"
    script = max(letters, key=lambda name: letters[name])
    return script if letters[script] > total / 2 else UNCLEAR


def _evidence(text: str, script: str) -> tuple[dict[str, float], dict[str, set[str]]]:
    """For each language of the script the weight of its words and own letters, and which these are."""
    scores: dict[str, float] = dict.fromkeys(_WORDS[script], 0.0)
    distinct: dict[str, set[str]] = {language: set() for language in scores}
    for letter in _OWN_LETTERS.findall(text.casefold()):
        language = _OWNERS[letter]
        if language in scores:
            scores[language] += 0.5
            distinct[language].add(letter)
    for word in words(text):
        for language, weight in _PROFILES[script].get(word, {}).items():
            scores[language] += weight
            distinct[language].add(word)
    return scores, distinct
