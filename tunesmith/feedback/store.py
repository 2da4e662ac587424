"""A store of prompts, answers and judgements, which many processes may write to at once.

What is written in one block is written whole, or not at all; nothing that was judged is ever changed or deleted. A judge who judges a thing again has to say so (`replace`), and what
was said before stays, as an earlier revision.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Engine, Row, Select, Table, and_, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from tunesmith.core.errors import DataError, UsageError
from tunesmith.core.files import hash_of
from tunesmith.feedback import tables
from tunesmith.feedback.connecting import reading, writing
from tunesmith.feedback.records import (
    QUESTIONS,
    GivenGrades,
    Grades,
    NewItem,
    NewResponse,
    PairChoice,
    Ranking,
    StoredJudge,
    StoredPrompt,
    StoredResponse,
    Verdict,
    check_ranks,
)

__all__ = ["FeedbackStore", "Writer"]

_MOST_LETTERS = 200
_TRIES = 20
"""Of a revision that other processes write too: each try fails only because another one succeeded."""
_JUDGED = (tables.choices, tables.grades, tables.rankings)


class FeedbackStore:
    """An open store."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name
        """The address, as it may be shown."""

    @contextlib.contextmanager
    def writing(self) -> Iterator["Writer"]:
        """One transaction: keep it short, others wait. Raises: TunesmithError, where the database fails."""
        with writing(self._engine, self.name) as connection:
            yield Writer(connection)

    def prompts(self) -> list[StoredPrompt]:
        """Every prompt with its answers, in the order of their numbers."""
        with reading(self._engine, self.name) as connection:
            models, gold = dict[int, list[str]](), dict[int, int]()
            for row in connection.execute(select(tables.writers).order_by(tables.writers.c.model)):
                models.setdefault(row.response_id, []).append(row.model)
            for row in connection.execute(select(tables.gold)):
                gold[row.response_id] = row.rank
            answers = dict[int, list[StoredResponse]]()
            for row in connection.execute(select(tables.responses).order_by(tables.responses.c.id)):
                answers.setdefault(row.prompt_id, []).append(StoredResponse(row.id, row.text, tuple(models.get(row.id, ()))))
            found = connection.execute(select(tables.prompts).order_by(tables.prompts.c.id)).all()
        return [_prompt(row, answers.get(row.id, []), gold) for row in found]

    def judges(self) -> list[StoredJudge]:
        """Who has judged, or has begun to."""
        with reading(self._engine, self.name) as connection:
            rows = connection.execute(select(tables.judges).order_by(tables.judges.c.name)).all()
        return [StoredJudge(row.id, row.name, row.seed) for row in rows]

    def choices(self, judge: str | None = None) -> list[PairChoice]:
        """What counts of the comparisons of two answers, by one judge or by all."""
        return [
            PairChoice(
                row.name, row.first_id, row.second_id, cast(Verdict, row.verdict), row.shown_first_id, row.comment, row.made_at
            )
            for row in self._current(tables.choices, ("first_id", "second_id"), judge)
        ]  # fmt: skip

    def grades(self, judge: str | None = None) -> list[GivenGrades]:
        """What counts of the grades."""
        return [
            GivenGrades(
                row.name,
                row.response_id,
                Grades(row.relevance, row.coherence, row.appropriateness),
                row.comment,
                row.made_at,
            )
            for row in self._current(tables.grades, ("response_id",), judge)
        ]

    def rankings(self, judge: str | None = None) -> list[Ranking]:
        """What counts of the rankings."""
        rows = self._current(tables.rankings, ("prompt_id",), judge)
        ranks = dict[int, dict[int, int]]()
        with reading(self._engine, self.name) as connection:
            for row in connection.execute(select(tables.ranks).order_by(tables.ranks.c.rank, tables.ranks.c.response_id)):
                ranks.setdefault(row.ranking_id, {})[row.response_id] = row.rank
        return [Ranking(row.name, row.prompt_id, ranks.get(row.id, {}), row.comment, row.made_at) for row in rows]

    def num_revisions(self) -> int:
        """Everything that was ever said: what was replaced and what was withdrawn too."""
        with reading(self._engine, self.name) as connection:
            return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _JUDGED)

    def _current(self, table: Table, thing: tuple[str, ...], judge: str | None) -> list[Row[Any]]:
        """The last revision of each thing by each judge, but for those withdrawn, in the order in which they were made."""
        keys = [table.c[name] for name in ("judge_id", *thing)]
        latest = select(*keys, func.max(table.c.revision).label("revision")).group_by(*keys).subquery()
        same = [table.c[name] == latest.c[name] for name in ("judge_id", *thing, "revision")]
        query: Select[Any] = (
            select(table, tables.judges.c.name)
            .join(latest, and_(*same))
            .join(tables.judges, tables.judges.c.id == table.c.judge_id)
            .where(table.c.is_withdrawn.is_(False))
            .order_by(table.c.id)
        )
        with reading(self._engine, self.name) as connection:
            return list(connection.execute(query if judge is None else query.where(tables.judges.c.name == judge)).all())


class Writer:
    """What may be written in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def judge(self, name: str) -> StoredJudge:
        """The judge of that name; who is new gets a seed. Raises: UsageError, for a name that is empty or too long."""
        name = name.strip()
        if not name or len(name) > _MOST_LETTERS or not name.isprintable():
            raise UsageError(f"judge: found {name[:20]!r}, expected a name of 1 to {_MOST_LETTERS} letters.")
        self._put(tables.judges, name=name, seed=secrets.randbelow(2**31), added_at=_now())
        row = self._connection.execute(select(tables.judges).where(tables.judges.c.name == name)).one()
        return StoredJudge(row.id, row.name, row.seed)

    def add(self, item: NewItem) -> tuple[int, list[int], bool]:
        """Add a prompt, and whatever of its answers, writers and gold ranks is not there yet.

        Returns: the prompt, its answers in the order of `item`, and whether anything of it is new.
        Raises: DataError, where another order of its gold answers is known.
        """
        sha256, messages = hash_of(item.messages), _storable(json.dumps(list(item.messages), ensure_ascii=False))
        is_new = self._put(tables.prompts, sha256=sha256, messages=messages, origin=_storable(item.origin), added_at=_now())
        prompt = self._connection.execute(select(tables.prompts.c.id).where(tables.prompts.c.sha256 == sha256)).scalar_one()
        found = list[int]()
        for response in item.responses:
            is_new |= self._put_response(prompt, response, found)
        if item.gold:
            self._check_gold(prompt, {found[place]: rank for place, rank in item.gold.items()})
        for place, rank in item.gold.items():
            is_new |= self._put(tables.gold, response_id=found[place], rank=rank)
        return prompt, found, is_new

    def _put_response(self, prompt: int, response: NewResponse, found: list[int]) -> bool:
        text = _storable(response.text)
        sha256 = hash_of(text)
        is_new = self._put(tables.responses, prompt_id=prompt, sha256=sha256, text=text)
        of_prompt = and_(tables.responses.c.prompt_id == prompt, tables.responses.c.sha256 == sha256)
        found.append(self._connection.execute(select(tables.responses.c.id).where(of_prompt)).scalar_one())
        for model in response.models:
            is_new |= self._put(tables.writers, response_id=found[-1], model=_storable(model)[:500])
        return is_new

    def _check_gold(self, prompt: int, ranks: Mapping[int, int]) -> None:
        of_prompt = tables.responses.c.prompt_id == prompt
        rows = self._connection.execute(select(tables.gold).join(tables.responses).where(of_prompt)).all()
        known = {row.response_id: row.rank for row in rows}
        if known and known != dict(ranks):
            raise DataError("gold: another order of these answers was given before. A store keeps one.")

    def choose(
        self,
        judge: str,
        pair: tuple[int, int],
        verdict: Verdict,
        *,
        shown_first: int | None = None,
        comment: str = "",
        replace: bool = False,
    ) -> bool:
        """Keep which of two answers is better; `verdict` names them in the order of `pair`.

        Returns: whether it was kept; False where this judge has judged the pair, and `replace` was not said.
        Raises: DataError, where the two are not two answers to one prompt.
        """
        first, second = sorted(pair)
        if (first, second) != pair:
            verdict = {"first": "second", "second": "first", "tie": "tie"}[verdict]  # type: ignore[assignment]
        if first == second or len(self._prompts_of(pair)) != 1:
            raise DataError(f"responses {pair[0]} and {pair[1]}: expected two answers to one prompt.")
        said = {"verdict": verdict, "shown_first_id": shown_first, "comment": _storable(comment)}
        return self._record(tables.choices, judge, {"first_id": first, "second_id": second}, said, replace=replace) is not None

    def grade(self, judge: str, response: int, grades: Grades, *, comment: str = "", replace: bool = False) -> bool:
        """Keep how good an answer is. Returns, raises: as `choose`."""
        self._prompts_of([response])
        said = {name: getattr(grades, name) for name in QUESTIONS} | {"comment": _storable(comment)}
        return self._record(tables.grades, judge, {"response_id": response}, said, replace=replace) is not None

    def rank(self, judge: str, ranks: Mapping[int, int], *, comment: str = "", replace: bool = False) -> bool:
        """Keep in which order answers to a prompt are: answer -> rank, 1 the best, equal ones a tie. Returns, raises: as `choose`, `check_ranks`."""
        prompts = self._prompts_of(list(ranks))
        check_ranks(ranks, ranks)
        if len(prompts) != 1:
            raise DataError("ranks: expected answers to one prompt.")
        made = self._record(tables.rankings, judge, {"prompt_id": prompts.pop()}, {"comment": _storable(comment)}, replace=replace)
        if made is not None:
            rows = [{"ranking_id": made, "response_id": answer, "rank": rank} for answer, rank in ranks.items()]
            self._connection.execute(insert(tables.ranks), rows)
        return made is not None

    def withdraw_choice(self, judge: str, pair: tuple[int, int]) -> None:
        """Take back what a judge said of two answers; the store remembers that it was said."""
        first, second = sorted(pair)
        self._record(tables.choices, judge, {"first_id": first, "second_id": second}, {"comment": ""}, replace=True, withdraw=True)

    def withdraw_grade(self, judge: str, response: int) -> None:
        """Take back what a judge said of an answer."""
        self._record(tables.grades, judge, {"response_id": response}, {"comment": ""}, replace=True, withdraw=True)

    def _prompts_of(self, answers: list[int] | tuple[int, ...]) -> set[int]:
        """The prompts that answers belong to. Raises: DataError, where the store has no such answer."""
        of_these = tables.responses.c.id.in_(answers)
        rows = self._connection.execute(select(tables.responses.c.id, tables.responses.c.prompt_id).where(of_these)).all()
        missing = set(answers) - {row.id for row in rows}
        if missing:
            raise DataError(f"response {min(missing)}: the store has no answer of that number.")
        return {row.prompt_id for row in rows}

    def _record(
        self, table: Table, judge: str, thing: Mapping[str, int], said: Mapping[str, Any], *, replace: bool, withdraw: bool = False
    ) -> int | None:
        """Write the next revision of what a judge says of a thing, and return its number; None where one counts and may not be replaced."""
        about = {"judge_id": self.judge(judge).id, **thing}
        same = and_(*(table.c[name] == value for name, value in about.items()))
        for _ in range(_TRIES):
            query = select(table.c.revision, table.c.is_withdrawn).where(same).order_by(table.c.revision.desc()).limit(1)
            latest = self._connection.execute(query).first()
            if latest is not None and not latest.is_withdrawn and not replace:
                return None
            revision = 1 if latest is None else latest.revision + 1
            try:
                with self._connection.begin_nested():
                    made = self._connection.execute(
                        insert(table).values(**about, **said, revision=revision, is_withdrawn=withdraw, made_at=_now())
                    )
                return int(made.inserted_primary_key[0]) if made.inserted_primary_key else None
            except IntegrityError:  # another process wrote this revision in between
                continue
        raise DataError(f"{judge}: {_TRIES} other judgements of the same thing were made at the same moment. Judge it again.")

    def _put(self, table: Table, **values: Any) -> bool:
        """Insert a row, unless it is there. Returns: whether it is new."""
        if self._connection.dialect.name == "postgresql":
            wanted = postgresql.insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key.columns)
            return self._connection.execute(wanted).first() is not None
        # RETURNING is younger than some SQLite that is still about
        return self._connection.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing()).rowcount > 0


def _prompt(row: Row[Any], answers: list[StoredResponse], gold: Mapping[int, int]) -> StoredPrompt:
    known = {answer.id: gold[answer.id] for answer in answers if answer.id in gold}
    return StoredPrompt(row.id, tuple(json.loads(row.messages)), tuple(answers), known)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _storable(text: str) -> str:
    """Text without what no database holds: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
