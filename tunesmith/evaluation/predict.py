"""What a model says to rows: the outputs of a head, the likelihood of a text, labels without any training.

n rows    c labels    h hidden size    N scored positions    A answers
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from tunesmith.core.batch import Batch
from tunesmith.core.errors import Diverged
from tunesmith.core.evaluating import evaluating
from tunesmith.core.types import Forward, Output

__all__ = [
    "LIKELIHOOD_OF_A_TEXT",
    "choose_by_likelihood",
    "hear_head",
    "label_bias",
    "parted",
    "require_finite",
    "score_batches",
    "zero_shot_by_likelihood",
    "zero_shot_by_similarity",
]

_OUTPUTS = "The model gave outputs that are not finite numbers."
LIKELIHOOD_OF_A_TEXT = "The model's likelihood of a text is not a finite number."
SIMILARITY_SCALE = 20.0
"""What a cosine is multiplied by before the softmax: the scale that sentence-transformers trains with (MultipleNegativesRankingLoss)."""


def require_finite(values: Tensor, said: str) -> None:
    """Raises: Diverged, where one of them is no finite number. `said`: the sentence that says which."""
    if not bool(torch.isfinite(values).all()):
        raise Diverged(f"{said} Lower train.learning_rate, or set engine.precision to fp32.")


def hear_head(forward: Forward, batches: Iterable[Batch], head: str, reads: Literal["answer", "target"] = "answer") -> list[Tensor]:
    """What a head says to each row, in the order of the rows: float64 on the CPU, (its answers, outputs), or (its targets, outputs).

    Raises: ValueError, where the head is read at answers and a row has none; Diverged, where an output is not finite.
    """
    heard: list[Tensor] = []
    with (
        evaluating(forward),
        torch.no_grad(),
    ):  # not inference_mode: what the model caches here (rotary tables) must still serve in training
        for batch in batches:
            outputs = forward.head(head, batch, reads)
            require_finite(outputs, _OUTPUTS)
            heard += parted(outputs, batch, reads)
    return heard


def parted(outputs: Tensor, batch: Batch, reads: Literal["answer", "target"]) -> list[Tensor]:
    """Outputs of a head, (A, outputs) or (N, outputs), row by row, float64 on the CPU. Raises: ValueError, as `hear_head`."""
    if reads == "answer":
        if not all(row.answers for row in batch.rows):
            raise ValueError("a head that is read at answers needs one in every row")
        outputs = outputs[batch.rows_A.argsort(stable=True)]
    sizes = [len(row.targets.positions if reads == "target" else row.answers) for row in batch.rows]
    return list(torch.split(outputs.double().cpu(), sizes))


def score_batches(forward: Forward, batches: Iterable[Batch], num_bytes: Sequence[int]) -> list[Output]:
    """The weighted negative log-likelihood of each row's targets, nats, with the number of its tokens and bytes, in the order of the rows.

    Args:
        num_bytes: UTF-8 bytes of the text that is scored in each row.
    Raises: ValueError, where the numbers of rows differ; Diverged, where a likelihood is not finite.
    """
    nats: list[float] = []
    tokens: list[int] = []
    with (
        evaluating(forward),
        torch.no_grad(),
    ):  # not inference_mode: what the model caches here (rotary tables) must still serve in training
        for batch in batches:
            logprobs_N = forward.logprobs(batch, with_entropy=False)[0].double().cpu()
            weights_N, rows_N = batch.weights_N.double().cpu(), batch.rows_A.cpu()[batch.answers_N.cpu()]
            zeros = torch.zeros(len(batch.rows), dtype=torch.float64)
            nats += zeros.index_add(0, rows_N, -logprobs_N * weights_N).tolist()
            tokens += [round(count) for count in zeros.index_add(0, rows_N, (weights_N > 0).double()).tolist()]
    require_finite(torch.tensor(nats), LIKELIHOOD_OF_A_TEXT)
    return [Output(nll_nats=nll, num_tokens=count, num_bytes=size) for nll, count, size in zip(nats, tokens, num_bytes, strict=True)]


def _labelled(logits_nc: Tensor, labels: Sequence[str]) -> list[Output]:
    require_finite(logits_nc, _OUTPUTS)
    probabilities_nc = logits_nc.softmax(-1)
    chosen_n = probabilities_nc.argmax(-1).tolist()
    return [
        Output(label=labels[c], probabilities=tuple(row), classes=tuple(labels))
        for c, row in zip(chosen_n, probabilities_nc.tolist(), strict=True)
    ]


def choose_by_likelihood(
    scores: Sequence[Sequence[float]], lengths: Sequence[Sequence[int]], choices: Sequence[Sequence[str]]
) -> list[Output]:
    """Each row gets the answer that the model finds likeliest, per token of the answer; probabilities are the softmax of those means.

    As `zero_shot_by_likelihood`, where every row has answers of its own.

    Args:
        scores: log-likelihood of each answer of each row, nats, a sum over tokens.
        lengths: number of tokens of each answer.
        choices: the answers as text.
    Raises: ValueError, where the numbers of answers differ; Diverged, where a likelihood is not finite.
    """
    outputs = list[Output]()
    for nats, counts, texts in zip(scores, lengths, choices, strict=True):
        if not len(nats) == len(counts) == len(texts) or min(counts, default=0) < 1:
            raise ValueError(f"{len(nats)} scores and lengths {list(counts)} for {len(texts)} answers")
        outputs += _labelled(torch.tensor([nats], dtype=torch.float64) / torch.tensor(counts, dtype=torch.float64), texts)
    return outputs


def zero_shot_by_similarity(texts_nh: Tensor, labels_ch: Tensor, labels: Sequence[str]) -> list[Output]:
    """Each text gets the label whose name's embedding is nearest by cosine; probabilities are the softmax of 20 times the cosines.

    Source: Yin, Hay, Roth (2019), "Benchmarking Zero-shot Text Classification", https://arxiv.org/abs/1909.00161, sect. 5 (label similarity);
    the scale is `SIMILARITY_SCALE`, which changes no label.
    """
    if len(labels_ch) != len(labels):
        raise ValueError(f"{len(labels_ch)} embeddings for {len(labels)} labels")
    texts, names = (nn.functional.normalize(vectors.detach().double().cpu(), dim=-1) for vectors in (texts_nh, labels_ch))
    return _labelled(SIMILARITY_SCALE * texts @ names.T, labels)


def label_bias(scores_mc: Tensor, lengths_c: Sequence[int]) -> Tensor:
    """The log of the mean probability that a model gives each label after texts that say nothing, shape (labels,): what `zero_shot_by_likelihood` takes off.

    Args:
        scores_mc: log-likelihood of each label's words after each of those texts, nats, shape (texts, labels).
        lengths_c: number of tokens of each label's words.
    Source: Zhao et al. (2021), "Calibrate Before Use", https://arxiv.org/abs/2102.09690, sect. 5 (contextual calibration, W = diag(p)^-1, b = 0).
    """
    means_mc = scores_mc.detach().double().cpu() / torch.tensor(lengths_c, dtype=torch.float64)
    return means_mc.softmax(-1).mean(0).log()


def zero_shot_by_likelihood(
    scores_nc: Tensor, labels: Sequence[str], lengths_c: Sequence[int], bias_nc: Tensor | None = None
) -> list[Output]:
    """Each text gets the label whose words the model finds likeliest after it, per token of the words.

    The mean over tokens, not the sum, so that a label is not chosen for being short; probabilities are the softmax of the means.
    Words that are common anyway are still favoured ("surface form competition": Holtzman et al., 2021, https://arxiv.org/abs/2104.08315).

    Args:
        scores_nc: log-likelihood of each label's words after each text, nats, a sum over tokens, never positive, shape (rows, labels).
        lengths_c: number of tokens of each label's words.
        bias_nc: of each row what `label_bias` found, to be taken off; None: nothing.
    Raises: ValueError, where the shapes do not fit, or a log-likelihood is positive.
    Source: Brown et al. (2020), "Language Models are Few-Shot Learners", https://arxiv.org/abs/2005.14165, sect. 2.4.
    """
    if scores_nc.shape[-1] != len(labels) or len(lengths_c) != len(labels) or min(lengths_c) < 1:
        raise ValueError(f"scores of shape {tuple(scores_nc.shape)} and lengths {list(lengths_c)} for {len(labels)} labels")
    scores = scores_nc.detach().double().cpu()
    if bool((scores > 1e-3).any()):
        raise ValueError("a log-likelihood is positive; scores are log-likelihoods, not their negatives")
    logits = scores / torch.tensor(lengths_c, dtype=torch.float64)
    return _labelled(logits if bias_nc is None else logits - bias_nc, labels)
