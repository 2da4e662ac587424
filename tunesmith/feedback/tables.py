"""The tables of a store, as its latest migration leaves them.

Judgements are only ever added: a judge's word on a thing has revisions 1, 2, ..., of which the last one counts, and a withdrawn one says nothing. That each revision can be
written once is what keeps two processes from judging a thing twice.
"""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

__all__ = ["METADATA", "VERSION_TABLE", "choices", "gold", "grades", "judges", "prompts", "rankings", "ranks", "responses", "writers"]

METADATA = MetaData()
VERSION_TABLE = "feedback_version"
"""Where alembic keeps which migrations were made: its usual name may be another program's, in a database that is shared."""

prompts = Table(
    "feedback_prompts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("messages", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("added_at", String(32), nullable=False),
)

responses = Table(
    "feedback_responses",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("prompt_id", Integer, ForeignKey("feedback_prompts.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("prompt_id", "sha256", name="feedback_one_response_a_text"),
)

writers = Table(
    "feedback_writers",
    METADATA,
    Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
    Column("model", String(500), primary_key=True),
)

gold = Table(
    "feedback_gold",
    METADATA,
    Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
    Column("rank", Integer, nullable=False),
)

judges = Table(
    "feedback_judges",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("seed", BigInteger, nullable=False),
    Column("added_at", String(32), nullable=False),
)

choices = Table(
    "feedback_choices",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("judge_id", Integer, ForeignKey("feedback_judges.id"), nullable=False),
    Column("first_id", Integer, ForeignKey("feedback_responses.id"), nullable=False),
    Column("second_id", Integer, ForeignKey("feedback_responses.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("verdict", String(8)),
    Column("shown_first_id", Integer, ForeignKey("feedback_responses.id")),
    Column("comment", Text, nullable=False),
    Column("made_at", String(32), nullable=False),
    UniqueConstraint("judge_id", "first_id", "second_id", "revision", name="feedback_one_choice"),
    CheckConstraint("first_id < second_id", name="feedback_choice_of_two"),
    CheckConstraint("is_withdrawn OR verdict IN ('first', 'second', 'tie')", name="feedback_choice_says_something"),
)

grades = Table(
    "feedback_grades",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("judge_id", Integer, ForeignKey("feedback_judges.id"), nullable=False),
    Column("response_id", Integer, ForeignKey("feedback_responses.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("relevance", Integer),
    Column("coherence", Integer),
    Column("appropriateness", Integer),
    Column("comment", Text, nullable=False),
    Column("made_at", String(32), nullable=False),
    UniqueConstraint("judge_id", "response_id", "revision", name="feedback_one_grade"),
    CheckConstraint(
        "is_withdrawn OR (relevance BETWEEN 1 AND 5 AND coherence BETWEEN 1 AND 5 AND appropriateness BETWEEN 1 AND 5)",
        name="feedback_grades_from_1_to_5",
    ),
)

rankings = Table(
    "feedback_rankings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("judge_id", Integer, ForeignKey("feedback_judges.id"), nullable=False),
    Column("prompt_id", Integer, ForeignKey("feedback_prompts.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("is_withdrawn", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("made_at", String(32), nullable=False),
    UniqueConstraint("judge_id", "prompt_id", "revision", name="feedback_one_ranking"),
)

ranks = Table(
    "feedback_ranks",
    METADATA,
    Column("ranking_id", Integer, ForeignKey("feedback_rankings.id"), primary_key=True),
    Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
    Column("rank", Integer, nullable=False),
)
