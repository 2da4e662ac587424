"""What an arm will take: seconds and bytes, from what it has to compute and from what was measured of the same model on the same machine.

The operations of a transformer grow with the tokens that it reads, so that seconds are tokens times seconds a token, one rate for each kind of pass: reading forwards, training
everything, training something small in a frozen model, training a head on what was read once, writing. The rates come from a probe or from an earlier training, and hold what no count of operations tells: attention, dropout, the optimizer, how well a machine
multiplies matrices of these sizes. Memory is what the process holds once the model is loaded, plus what is kept for each parameter that trains, plus activations a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Kind",
    "Pass",
    "Predicted",
    "Rates",
    "Work",
    "correction",
    "disk_bytes",
    "kept_bytes",
    "pass_of",
    "passes_of",
    "peak_memory_bytes",
    "predict",
    "scattering",
    "total_seconds",
    "train_seconds",
    "trained_bytes",
    "trained_rate",
]

Kind = Literal["full", "adapter", "head", "none"]
"""What trains: most of the model; something small, with gradients through all of it; a head on a frozen model; nothing."""
Pass = Literal["full", "adapter", "head", "read", "write", "embed"]
"""What a token may go through; of documents that become vectors of an index, a character."""
_TRAINED: Mapping[Kind, Pass] = {"full": "full", "adapter": "adapter", "head": "head"}
"""The pass of a step. That of a head costs next to nothing beside reading, and need not be known."""


_SCATTERING, _IN_PIECES = 0.03, 0.18
"""Memory that steps take grows with this power of their number, as freed blocks of other sizes lie between those in use: measured over 250 steps with glibc on Linux, as the command begins it
and as it is by itself (`tunesmith/core/allocator.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an arm has to compute, counted before it begins. Tokens are those that the model reads, learned ones among them."""

    kind: Kind
    num_steps: int = 0
    train_tokens: int = 0
    """Of all steps."""
    epoch_tokens: int = 0
    """Of the training rows, each once."""
    validated_tokens: int = 0
    """Of the validation rows, once."""
    num_validations: int = 0
    frozen_share: float = 0.0
    """Of the layers, those below the first that trains: nothing goes back through them."""
    keeps_frozen: bool = True
    """Whether what leaves them is kept, so that they run once a row; not where they drop out at random."""
    read_tokens: int = 0
    """Of all that is read without training, but for validations: by the base, where nobody asked it before, by the tuned model, of every way to ask that is tried."""
    written_tokens: int = 0
    """Of the answers."""
    searched_read_tokens: int = 0
    """Of a method that tries settings in place of steps: what the model reads for them."""
    searched_written_tokens: int = 0
    """What it writes for them."""
    embedded_characters: int = 0
    """Of documents that an index has to be made of."""
    num_trained: int = 0
    """Parameters that train."""
    num_added: int = 0
    """Those of them that the base does not have."""
    num_moments: int = 2
    """Numbers that the optimizer keeps for each."""
    step_tokens: int = 0
    """The most that are computed at a time in training."""
    batch_tokens: int = 0
    """The same where nothing is trained."""
    kept_tokens: int = 0
    """Of prompts and answers, the most that are kept at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a probe or an earlier training measured."""

    prepare_seconds: float
    """From the recipe to a model that can be asked: reading, loading, tokenizing."""
    seconds_per_token: Mapping[Pass, float]
    resident_bytes: int
    """What the process holds with the model loaded: interpreter, libraries, data, model. 0 where the system does not say."""
    bytes_per_token: Mapping[Pass, float] = field(default_factory=dict)
    """Activations and what comes with them, at the peak of a pass; of training those of a first step."""
    scatters: bool | None = None
    """Whether the memory of steps comes to lie in ever more pieces; None where it does not grow with their number at all, as on a GPU."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions of an arm; None where nothing is known to predict it from."""

    peak_memory_bytes: int | None
    train_seconds: float | None
    total_seconds: float | None


def passes_of(work: Work) -> list[Pass]:
    """The passes whose rates it takes to predict it."""
    trained = None if work.kind == "head" else pass_of(work)
    found: list[Pass] = ["read"]
    found += [trained] if trained else []
    found += ["write"] if work.written_tokens or work.searched_written_tokens else []
    found += ["embed"] if work.embedded_characters else []
    return found


def pass_of(work: Work) -> Pass | None:
    """The pass of its steps; None where nothing trains."""
    return _TRAINED.get(work.kind)


def scattering(num_steps: int, *, scatters: bool | None) -> float:
    """How many times the memory of a first step so many steps come to hold. `scatters`: as of `Rates`."""
    if scatters is None:
        return 1.0
    return float(max(1, num_steps) ** (_IN_PIECES if scatters else _SCATTERING))


def train_seconds(work: Work, rates: Rates) -> float:
    """Of the optimizer's steps, or of a search. What does not train is read forwards, and once where its result is kept."""
    own, per_token = pass_of(work), rates.seconds_per_token
    searched = work.searched_read_tokens * per_token["read"] + work.searched_written_tokens * per_token.get("write", 0.0)
    return searched + _frozen_seconds(work, rates) + (_trained_tokens(work) * rates.seconds_per_token.get(own, 0.0) if own else 0.0)


def trained_rate(work: Work, rates: Rates, seconds: float) -> float:
    """Seconds a token of what trains, where the steps took so many: `train_seconds` the other way round. Of `rates` that of reading is used."""
    return max(0.0, seconds - _frozen_seconds(work, rates)) / max(1.0, _trained_tokens(work))


def trained_bytes(work: Work, rates: Rates, peak_bytes: int) -> float:
    """Bytes a token of a first step, where the peak was so high: `peak_memory_bytes` the other way round. Of `rates` what is held is used."""
    activations = max(0, peak_bytes - rates.resident_bytes - kept_bytes(work))
    return activations / (max(1, work.step_tokens) * scattering(work.num_steps, scatters=rates.scatters))


def _frozen_seconds(work: Work, rates: Rates) -> float:
    """Of what does not train and nothing goes back through."""
    once = min(work.epoch_tokens, work.train_tokens)
    share = 1.0 if work.kind == "head" else work.frozen_share
    return share * (once if work.keeps_frozen else work.train_tokens) * rates.seconds_per_token["read"]


def _trained_tokens(work: Work) -> float:
    """That go through what trains, in whole layers of the model or in a head."""
    return work.train_tokens * (1.0 if work.kind == "head" else 1 - work.frozen_share)


def total_seconds(work: Work, rates: Rates) -> float:
    """Of the whole run."""
    validations = min(1, work.num_validations) if work.kind == "head" and work.keeps_frozen else work.num_validations
    read = (work.read_tokens + validations * work.validated_tokens) * rates.seconds_per_token["read"]
    written = work.written_tokens * rates.seconds_per_token.get("write", 0.0)
    embedded = work.embedded_characters * rates.seconds_per_token.get("embed", 0.0)
    return rates.prepare_seconds + train_seconds(work, rates) + read + written + embedded


def kept_bytes(work: Work) -> int:
    """Of each parameter that trains a gradient and the optimizer's moments, in 4 bytes each, and itself where the base does not have it."""
    return 4 * (work.num_trained * (1 + work.num_moments) + work.num_added)


def peak_memory_bytes(work: Work, rates: Rates) -> int:
    """The most at a time, in training or in asking."""
    per_token, trained = rates.bytes_per_token, pass_of(work)
    training = (
        0.0 if trained is None else work.step_tokens * per_token.get(trained, 0.0) * scattering(work.num_steps, scatters=rates.scatters)
    )
    asking = max(work.batch_tokens * per_token["read"], work.kept_tokens * per_token.get("write", 0.0))
    return round(rates.resident_bytes + kept_bytes(work) + max(training, asking))


def predict(work: Work, rates: Rates) -> Predicted:
    """All of it."""
    memory = peak_memory_bytes(work, rates) if rates.resident_bytes else None
    return Predicted(memory, train_seconds(work, rates), total_seconds(work, rates))


def correction(pairs: Sequence[tuple[float, float]]) -> float:
    """How many times as long arms took as was predicted. `pairs`: (measured, predicted) seconds of those that are done; 1 without any."""
    predicted = sum(one for _, one in pairs)
    return sum(one for one, _ in pairs) / predicted if predicted > 0 else 1.0


def disk_bytes(work: Work) -> int:
    """What was trained, the best weights, and two checkpoints with their moments, of 4 bytes a number."""
    return 4 * work.num_trained * (2 + 2 * (1 + work.num_moments))
