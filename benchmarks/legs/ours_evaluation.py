"""tunesmith: the shots are read once for a batch of questions, and a question once for its choices.

There is no scorer of multiple choice in tunesmith yet. This leg builds the rows itself, from segments that continue each other; when there is one, it is called here.
"""

from collections.abc import Iterator, Sequence

import torch

from benchmarks.legs._score import main, timed
from benchmarks.questions import Question, Questions, Scored
from benchmarks.workload import Config
from tunesmith import __version__
from tunesmith.core.batch import collate
from tunesmith.core.types import Origin, Row, Segment, Targets
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.model.load import load
from tunesmith.recipe.models import EngineSpec


def row_of(shots: Sequence[int], questions: Sequence[Question]) -> Row:
    """One row: the shots, then each question continuing them, then its choices continuing it; a choice is an answer.

    A choice's first token is predicted by the last token of its question, each other one by the token before it.
    """
    segments, answers = [Segment(tuple(shots))], list[int]()
    positions, labels, answer_of = list[int](), list[int](), list[int]()
    end = len(shots)
    for one in questions:
        parent = len(segments)
        segments.append(Segment(one.question, parent=0))
        end += len(one.question)
        end_of_question = end
        for choice in one.choices:
            positions += [end_of_question - 1, *range(end, end + len(choice) - 1)]
            labels += choice
            answer_of += [len(answers)] * len(choice)
            answers.append(len(segments))
            segments.append(Segment(choice, parent=parent))
            end += len(choice)
    targets = Targets(tuple(positions), tuple(labels), (1.0,) * len(labels), tuple(answer_of))
    return Row(tuple(segments), Origin("questions.json", 1), targets, answers=tuple(answers))


def groups(questions: Questions, budget: int) -> Iterator[list[Question]]:
    """Neighbours that share one reading of the shots: as many as fit into `budget` tokens, at least one."""
    group, used = list[Question](), len(questions.shots)
    for one in questions.questions:
        length = len(one.question) + sum(len(choice) for choice in one.choices)
        if group and used + length > budget:
            yield group
            group, used = [], len(questions.shots)
        group.append(one)
        used += length
    if group:
        yield group


def leg(questions: Questions, config: Config) -> Scored:
    """Score on packed rows; the same whatever `config` it stands beside."""
    model = load(questions.model, need="lm")
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts)).eval()

    def score() -> list[list[float]]:
        found = list[list[float]]()
        for group in groups(questions, EngineSpec().micro_batch_tokens):
            batch = collate([row_of(questions.shots, group)], model.facts)
            with torch.no_grad():
                logprobs, _ = forward.logprobs(batch, with_entropy=False)
            sums = iter(torch.zeros(len(batch.segments_A)).index_add_(0, batch.answers_N, logprobs).tolist())
            found += [[next(sums) for _ in one.choices] for one in group]
        return found

    return timed(questions, score, __version__)


if __name__ == "__main__":
    main(leg)
