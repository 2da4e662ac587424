"""`tunesmith feedback add`: prompts with candidate responses out of a file, gold answers, and judgements that were made elsewhere.

    {"prompt": "..." or messages,
     "responses": ["...", {"id": "b", "text": "...", "model": "..."}],
     "gold": {"1": 1, "b": 2},
     "judgements": [{"judge": "ann", "ranks": {"1": 1, "b": 2}, "grades": {"b": {"relevance": 5, "coherence": 4, "appropriateness": 5}}, "comment": "..."}]}

An id is the response's number in its row where none is given. Ranks of two responses are a comparison of the two, of more a ranking.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.core import registry
from tunesmith.core.errors import DataError, UsageError, did_you_mean
from tunesmith.core.types import Chat, Message, Origin
from tunesmith.data.convert import convert
from tunesmith.data.record_source import RecordSource
from tunesmith.feedback import QUESTIONS, Grades, NewItem, NewResponse, check_ranks, open_store
from tunesmith.feedback.records import Verdict
from tunesmith.feedback.store import FeedbackStore, Writer

__all__ = ["add_file", "prompt_messages"]

_ROW = ("prompt", "responses", "gold", "judgements")
_RESPONSE = ("id", "text", "model")
_JUDGEMENT = ("judge", "ranks", "grades", "comment")


def add_file(file: str, store: str, *, replace: bool = False) -> dict[str, Any]:
    """Add every row of a file, or none where one is wrong.

    Args:
        replace: whether a judgement of the file counts where the judge said something else before.
    Returns: {file, store, rows, new_rows, responses, gold, judgements, known_judgements}; `new_rows` brought something that the store had not.
    Raises: DataError, naming the row; UsageError, TunesmithError, as `open_store`.
    """
    records = list(RecordSource(file).records())
    items = [_told(origin, _item, record, origin) for origin, record in records]
    opened = open_store(store, create=True)
    said, counts = _Said(opened, replace=replace), Counter[str]()
    with opened.writing() as writer:
        for (origin, record), (item, names) in zip(records, items, strict=True):
            prompt, answers, is_new = _told(origin, writer.add, item)
            numbers = dict(zip(names, answers, strict=True))
            counts.update(new_rows=is_new, responses=len(answers), gold=bool(item.gold))
            for judgement in record.get("judgements") or ():
                counts.update(_told(origin, said.keep, judgement, writer, prompt, numbers))
    kept = {name: counts[name] for name in ("new_rows", "responses", "gold", "judgements", "known_judgements")}
    return {"file": file, "store": opened.name, "rows": len(records), **kept}


def _told(origin: Origin, made: Callable[..., Any], *arguments: Any) -> Any:
    """What `made` makes. Raises: DataError, with where it stands."""
    try:
        return made(*arguments)
    except (DataError, UsageError) as error:
        where = f"{origin.file}:{origin.row}: "
        raise DataError(f"{where}{str(error).removeprefix(where)}") from None


def prompt_messages(record: Mapping[str, Any], origin: Origin) -> tuple[Mapping[str, Any], ...]:
    """The conversation in a row's `prompt`, a text or messages, in OpenAI's spelling. Raises: DataError."""
    prompt = registry.create("format", "prompts").parse(record, origin, {"prompt": "prompt"})
    turns: tuple[Message, ...] = prompt.messages
    return tuple(convert(Chat(turns, origin), "messages").record["messages"])


def _item(record: Mapping[str, Any], origin: Origin) -> tuple[NewItem, list[str]]:
    """What a row adds, and the names that it gives its responses."""
    _check_keys(record, _ROW, "the row")
    if "prompt" not in record:
        raise DataError(f"prompt: missing. A row has {', '.join(_ROW)}.")
    given = record.get("responses")
    if not isinstance(given, list) or not given:
        raise DataError(f"responses: found {given!r:.60}, expected a list of at least one.")
    named = [_response(one, str(number)) for number, one in enumerate(given, start=1)]
    names = [name for name, _ in named]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"responses: two have the id {twice!r}. Give each its own.")
    gold = _mapping(record.get("gold") or {}, "gold")
    if gold:
        check_ranks(gold, names)
    ranks = {names.index(name): rank for name, rank in gold.items()}
    for one in _judgements(record):
        _check_judgement(one, names)
    return NewItem(prompt_messages(record, origin), tuple(one for _, one in named), ranks, f"{origin.file}:{origin.row}"), names


def _response(given: Any, name: str) -> tuple[str, NewResponse]:
    if isinstance(given, str):
        return name, NewResponse(given)
    found = _mapping(given, f"response {name}")
    _check_keys(found, _RESPONSE, f"response {name}")
    models = found.get("model") or []
    models = [models] if isinstance(models, str) else models
    if not isinstance(found.get("text"), str) or not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise DataError(f'response {name}: found {given!r:.60}, expected a text, or {{"id": ..., "text": ..., "model": ...}}.')
    return name if found.get("id") is None else str(found["id"]), NewResponse(found["text"], tuple(models))


def _judgements(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = record.get("judgements") or []
    if not isinstance(found, list):
        raise DataError(f"judgements: found {found!r:.60}, expected a list.")
    return [_mapping(one, f"judgement {number}") for number, one in enumerate(found, start=1)]


def _check_judgement(judgement: Mapping[str, Any], names: Sequence[str]) -> None:
    _check_keys(judgement, _JUDGEMENT, "a judgement")
    if not isinstance(judgement.get("judge"), str):
        raise DataError(f"judge: found {judgement.get('judge')!r}, expected a name.")
    if not isinstance(judgement.get("comment", ""), str):
        raise DataError(f"comment: found {judgement['comment']!r:.60}, expected a text.")
    if not judgement.get("ranks") and not judgement.get("grades"):
        raise DataError(f"the judgement of {judgement['judge']} has neither ranks nor grades.")
    ranks, grades = _mapping(judgement.get("ranks") or {}, "ranks"), _mapping(judgement.get("grades") or {}, "grades")
    if ranks:
        check_ranks(ranks, names)
    for name, one in grades.items():
        if name not in names:
            raise DataError(f"grades: no response {name!r}. Known: {', '.join(names)}.")
        _check_keys(_mapping(one, f"grades of {name}"), QUESTIONS, f"grades of {name}")
        _grades(one)


def _grades(given: Mapping[str, Any]) -> Grades:
    return Grades(*(given.get(question) for question in QUESTIONS))  # type: ignore[arg-type]  # refused where it is no number


def _mapping(given: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise DataError(f"{name}: found {given!r:.60}, expected an object.")
    return given


def _check_keys(given: Mapping[str, Any], known: Sequence[str], name: str) -> None:
    unknown = next((key for key in given if key not in known and given[key] is not None), None)
    if unknown is not None:
        raise DataError(f'{name} has a key "{unknown}", which nothing reads.{did_you_mean(unknown, known)}')


class _Said:
    """What judges have said, and what a file adds to it."""

    def __init__(self, store: FeedbackStore, *, replace: bool) -> None:
        self._replace = replace
        self._known: dict[tuple[Any, ...], Any] = {
            **{("pair", one.judge, one.first, one.second): one.verdict for one in store.choices()},
            **{("ranking", one.judge, one.prompt): dict(one.ranks) for one in store.rankings()},
            **{("grades", one.judge, one.response): one.grades for one in store.grades()},
        }

    def keep(self, judgement: Mapping[str, Any], writer: Writer, prompt: int, numbers: Mapping[str, int]) -> Counter[str]:
        """Write what a judgement says that is not known. Returns: how much was kept, and how much was known."""
        judge, comment, counts = judgement["judge"].strip(), judgement.get("comment", ""), Counter[str]()
        ranks = {numbers[name]: rank for name, rank in (judgement.get("ranks") or {}).items()}
        options: dict[str, Any] = {"comment": comment, "replace": True}  # what may not be replaced does not come so far
        if len(ranks) == 2:
            pair, verdict = _compared(ranks)
            if self._is_new(("pair", judge, *pair), verdict, counts):
                writer.choose(judge, pair, verdict, **options)
        elif ranks and self._is_new(("ranking", judge, prompt), ranks, counts):
            writer.rank(judge, ranks, **options)
        for name, given in (judgement.get("grades") or {}).items():
            if self._is_new(("grades", judge, numbers[name]), _grades(given), counts):
                writer.grade(judge, numbers[name], _grades(given), **options)
        return counts

    def _is_new(self, thing: tuple[Any, ...], said: Any, counts: Counter[str]) -> bool:
        """Raises: DataError, where the judge said something else before, and it may not be replaced."""
        before = self._known.get(thing)
        if before == said:
            counts["known_judgements"] += 1
            return False
        if before is not None and not self._replace:
            raise DataError(
                f"{thing[1]} has judged the same before, and otherwise. With --replace the file counts, and the history is kept."
            )
        self._known[thing] = said
        counts["judgements"] += 1
        return True


def _compared(ranks: Mapping[int, int]) -> tuple[tuple[int, int], Verdict]:
    first, second = sorted(ranks)
    verdict: Verdict = "tie" if ranks[first] == ranks[second] else "first" if ranks[first] < ranks[second] else "second"
    return (first, second), verdict
