"""The turns of conversations: who speaks after whom, who says nothing, who says the same again."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from tunesmith.core.types import Chat, Example, Message, Prompt
from tunesmith.data.checks.finding import Finding, Splits, excerpt, finding

__all__ = ["find_turns", "is_empty_turn", "order_problem", "repeated_turn"]


def order_problem(messages: Sequence[Message]) -> str:
    """What is unusual in the order of the roles, in words; empty where user and assistant take turns, the user first, the assistant last."""
    spoken = [message.role for message in messages if message.role != "system"]
    if not spoken or spoken[0] != "user":
        return "begins with the assistant" if spoken else "holds no turn of the user"
    twice = next((role for role, following in pairwise(spoken) if role == following), None)
    if twice:
        return f"two turns of the {twice} in a row"
    return "ends with the user, whose last turn nothing answers" if spoken[-1] == "user" else ""


def is_empty_turn(message: Message) -> bool:
    """Whether a turn holds nothing but white space."""
    return not message.content.strip()


def repeated_turn(messages: Sequence[Message]) -> str:
    """The first turn that the same role says a second time, white space and case aside, where it is longer than three words; else nothing.

    Short turns ("yes", "thank you very") come back in any conversation.
    """
    seen = set[tuple[str, str]]()
    for message in messages:
        key = message.role, " ".join(message.content.casefold().split())
        if key in seen and len(key[1].split()) > 3:
            return message.content
        seen.add(key)
    return ""


def find_turns(splits: Splits) -> list[Finding]:
    """Warnings for conversations with empty turns, repeated turns and an unusual order of roles."""
    found = []
    for split, examples in splits.items():
        chats = [example for example in examples if isinstance(example, Chat | Prompt)]
        found += [
            one
            for one in (
                _finding(
                    "empty_turns",
                    split,
                    chats,
                    lambda messages: next((f"an empty turn of the {m.role}" for m in messages if is_empty_turn(m)), ""),
                    "empty turn: the model learns to answer nothing. Write it or remove the row.",
                    removes=True,
                ),
                _finding(
                    "repeated_turns",
                    split,
                    chats,
                    repeated_turn,
                    "turn that is said twice: a model that learns it repeats itself. Look at the rows.",
                ),
                _finding(
                    "role_order",
                    split,
                    [chat for chat in chats if isinstance(chat, Chat)],
                    order_problem,
                    "unusual order of roles. Some chat templates refuse it, others write it as nobody will ask later.",
                ),
            )
            if one is not None
        ]
    return found


def _finding(
    check: str, split: str, chats: Sequence[Chat | Prompt], says: Callable[[Sequence[Message]], str], text: str, *, removes: bool = False
) -> Finding | None:
    said = {id(chat): problem for chat in chats if (problem := says(chat.messages))}
    rows: list[Example] = [chat for chat in chats if id(chat) in said]
    if not rows:
        return None
    article = "an" if text[0] in "aeiou" else "a"
    count = f"{len(rows):,} conversation{'s have' if len(rows) != 1 else ' has'} {article} {text}"
    return finding(check, "warning", split, rows, count, shown=lambda row: excerpt(said[id(row)]), removes=removes)
