"""The tables as they were first: prompts, responses, judges, choices, grades, rankings."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, String, Text, UniqueConstraint

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    _add_items()
    _add_judgements()


def _add_items() -> None:
    """What is judged, and by whom."""
    op.create_table(
        "feedback_prompts",
        Column("id", Integer, primary_key=True),
        Column("sha256", String(64), nullable=False, unique=True),
        Column("messages", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("added_at", String(32), nullable=False),
    )
    op.create_table(
        "feedback_responses",
        Column("id", Integer, primary_key=True),
        Column("prompt_id", Integer, ForeignKey("feedback_prompts.id"), nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("text", Text, nullable=False),
        UniqueConstraint("prompt_id", "sha256", name="feedback_one_response_a_text"),
    )
    op.create_table(
        "feedback_writers",
        Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
        Column("model", String(500), primary_key=True),
    )
    op.create_table(
        "feedback_gold",
        Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
        Column("rank", Integer, nullable=False),
    )
    op.create_table(
        "feedback_judges",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False, unique=True),
        Column("seed", BigInteger, nullable=False),
        Column("added_at", String(32), nullable=False),
    )


def _add_judgements() -> None:
    """What is said."""
    op.create_table(
        "feedback_choices",
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
    op.create_table(
        "feedback_grades",
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
    op.create_table(
        "feedback_rankings",
        Column("id", Integer, primary_key=True),
        Column("judge_id", Integer, ForeignKey("feedback_judges.id"), nullable=False),
        Column("prompt_id", Integer, ForeignKey("feedback_prompts.id"), nullable=False),
        Column("revision", Integer, nullable=False),
        Column("is_withdrawn", Boolean, nullable=False),
        Column("comment", Text, nullable=False),
        Column("made_at", String(32), nullable=False),
        UniqueConstraint("judge_id", "prompt_id", "revision", name="feedback_one_ranking"),
    )
    op.create_table(
        "feedback_ranks",
        Column("ranking_id", Integer, ForeignKey("feedback_rankings.id"), primary_key=True),
        Column("response_id", Integer, ForeignKey("feedback_responses.id"), primary_key=True),
        Column("rank", Integer, nullable=False),
    )
