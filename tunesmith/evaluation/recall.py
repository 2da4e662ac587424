"""Facts that are stated in a conversation and asked for later: how far back, and how deep in the context, a model still finds them.

A user states a fact, the conversation goes on about other things, and the user asks for the fact. Facts, questions and the turns between are small and of
English, made for this project. The answer is right where it holds what was stated.
Source: Liu et al. (2024), "Lost in the Middle: How Language Models Use Long Contexts", https://arxiv.org/abs/2307.03172, for the place in the context;
Maharana et al. (2024), "Evaluating Very Long-Term Conversational Memory of LLM Agents", https://arxiv.org/abs/2402.17753, for what was said turns ago.
"""

import random
import re
from dataclasses import dataclass

from tunesmith.core.types import Message, Origin, Prompt

__all__ = ["DEPTHS", "DISTANCES", "MOST_FACTS", "Fact", "draw_facts", "is_recalled"]

DISTANCES = (0, 1, 2, 4, 8, 16)
"""Exchanges between the fact and its question."""
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where in the exchanges before the question the fact stands: 0 the beginning, 1 right before the question."""

_NOTED = "Thank you, I will keep that in mind."
_KINDS = (
    ("My sister's name is {}.", "What is my sister's name?", "Clara Ingrid Noemi Farida Yuki Oluchi Marta Saskia Leila Renata Aiko Bronwyn Zeynep Paloma"),
    ("I live in {}.", "In which city do I live?", "Lisbon Osaka Nairobi Bergen Lima Kraków Tunis Hanoi Quito Dublin Seville Riga Accra Perth"),
    ("My pet is a {}.", "What animal is my pet?", "parrot ferret tortoise hamster goldfish rabbit gecko canary hedgehog pony snail"),
    ("I play the {}.", "Which instrument do I play?", "cello oboe banjo harp trumpet clarinet accordion bassoon violin trombone ukulele lute"),
    ("The code of my door is {}.", "What is the code of my door?", "4817 2096 7351 9640 1583 6274 3905 8162 5749 2438 7016 9327"),
    ("My car is {}.", "Which colour is my car?", "purple orange turquoise silver crimson yellow beige maroon violet olive"),
    ("I was born in {}.", "In which month was I born?", "January February April June July August September October November December"),
    ("For breakfast I had {}.", "What did I have for breakfast?", "porridge pancakes yogurt waffles muesli toast croissants grapefruit omelette"),
)  # fmt: skip
"""How it is stated, how it is asked for, and what may be stated."""
MOST_FACTS = sum(len(values.split()) for _, _, values in _KINDS)
"""So many are different."""
_EXCHANGES = (
    ("How does a bicycle stay upright?", "Mostly because it is steered into the side to which it leans, which brings the wheels back under its weight."),
    ("Why is the sky blue?", "Air scatters short waves of light more than long ones, so blue light reaches us from all sides."),
    ("What is a good way to learn to type?", "Practise a little every day, keep your eyes on the screen, and care for accuracy before speed."),
    ("How do bees make honey?", "They gather nectar, pass it from one to the other, and let water dry out of it in the comb until it is thick."),
    ("What makes bread rise?", "Yeast eats the sugar in the dough and gives off gas, which the dough holds in small bubbles."),
    ("Can you explain what a prime number is?", "A whole number above one that no whole number divides but one and itself."),
    ("Why do we have leap years?", "The year is about a quarter of a day longer than its days, and an extra day every four years makes up for it."),
    ("What is the difference between weather and climate?", "Weather is what happens on a day, climate what is usual over many years."),
    ("How does a thermos keep tea warm?", "A vacuum between two walls lets hardly any heat through, and shiny surfaces throw the rest back."),
    ("Is it better to read on paper or on a screen?", "Many people find paper easier for long texts, and screens handier for looking things up."),
    ("What does a compiler do?", "It translates a program that people write into instructions that a machine carries out."),
    ("How can I sleep better?", "Go to bed at the same hour, keep the room dark and cool, and put bright screens away early."),
    ("Why do leaves change in autumn?", "Trees draw the green pigment back before winter, and other pigments that were there all along can be seen."),
    ("What is the use of a rubber duck for a programmer?", "Explaining a problem aloud, even to a toy, often shows where the reasoning goes wrong."),
    ("How do tides come about?", "The moon pulls at the near side of the sea more than at the far side, and the Earth turns under the two bulges."),
    ("What is a hash table?", "A way to keep things so that the place of each is computed from its name, and found in one step."),
)  # fmt: skip
"""Turns between the fact and its question, that hold nothing of what may be stated."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a conversation states and asks for, and the exchanges that it has beside."""

    statement: str
    question: str
    value: str
    exchanges: tuple[tuple[str, str], ...]
    """In the order in which they are used, again from the beginning where more are needed."""
    number: int

    def prompt(self, num_before: int, num_after: int, *, is_stated: bool = True) -> Prompt:
        """The conversation up to the question: so many exchanges, the fact, so many exchanges. Without the fact, where it is not stated."""
        turns = [self.exchanges[place % len(self.exchanges)] for place in range(num_before + num_after)]
        if is_stated:
            turns.insert(num_before, (self.statement, _NOTED))
        messages = [message for asked, said in turns for message in (Message("user", asked), Message("assistant", said))]
        return Prompt((*messages, Message("user", self.question)), Origin("recall", self.number))


def draw_facts(num_facts: int, *, seed: int) -> list[Fact]:
    """So many different facts, of all kinds in turn, each with exchanges in an order of its own; the same seed gives the same.

    Raises: ValueError, where there are not so many.
    """
    if not 0 < num_facts <= MOST_FACTS:
        raise ValueError(f"{num_facts} facts; there are {MOST_FACTS}")
    rng = random.Random(f"recall {seed}")
    left = [(statement, question, rng.sample(values.split(), len(values.split()))) for statement, question, values in _KINDS]
    facts = list[Fact]()
    while len(facts) < num_facts:
        for statement, question, values in left:
            if values and len(facts) < num_facts:
                value = values.pop()
                exchanges = tuple(rng.sample(_EXCHANGES, len(_EXCHANGES)))
                facts.append(Fact(statement.format(value), question, value, exchanges, len(facts) + 1))
    return facts


def is_recalled(fact: Fact, answer: str) -> bool:
    """Whether the answer holds the value as a word, in any case."""
    return re.search(rf"\b{re.escape(fact.value)}\b", answer, re.IGNORECASE) is not None
