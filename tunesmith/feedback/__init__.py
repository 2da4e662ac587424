"""What people say of answers, as data: a store of judgements, and what follows from them.

The store needs SQLAlchemy and alembic (the extra `feedback`), which are imported when one is opened. Nothing here imports torch.
"""

from tunesmith.feedback.gold import GoldScore, gold_pairs, gold_scores
from tunesmith.feedback.opening import DEFAULT_STORE, open_store
from tunesmith.feedback.orders import Settled, Tally, ordered, settle
from tunesmith.feedback.records import (
    QUESTIONS,
    GivenGrades,
    Grades,
    NewItem,
    NewResponse,
    PairChoice,
    PairVerdict,
    Ranking,
    StoredJudge,
    StoredPrompt,
    StoredResponse,
    Verdict,
    check_ranks,
    verdicts_of,
)

__all__ = [
    "DEFAULT_STORE",
    "QUESTIONS",
    "GivenGrades",
    "GoldScore",
    "Grades",
    "NewItem",
    "NewResponse",
    "PairChoice",
    "PairVerdict",
    "Ranking",
    "Settled",
    "StoredJudge",
    "StoredPrompt",
    "StoredResponse",
    "Tally",
    "Verdict",
    "check_ranks",
    "gold_pairs",
    "gold_scores",
    "open_store",
    "ordered",
    "settle",
    "verdicts_of",
]
