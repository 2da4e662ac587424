"""Which ways to adapt a model are worth trying, for what is wanted and for the rows that there are: rules, each with where it comes from.

A rule says what its source says, of the models and data that the source looked at, and no more. What earlier comparisons of this machine measured stands beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["WANTS", "Reason", "Situation", "Source", "Want", "is_worth_trying", "reasons_for"]

Want = Literal["knowledge", "behaviour", "changing-facts"]
WANTS: Mapping[Want, str] = {
    "knowledge": "new knowledge: what the model does not know yet",
    "behaviour": "new behaviour: a task, a form, a tone",
    "changing-facts": "facts that change: what was right last week may be wrong today",
}
"""What an adapted model may be wanted for."""

FEW_ROWS, MANY_ROWS = 500, 5000
"""Training rows; where the sources say few or many, they mean hundreds and several thousands."""
_LARGE = 1_000_000_000
"""Parameters of a model that is large enough for prompt tuning."""

_IN_CONTEXT = ("few_shot", "zero_shot", "retrieval")
_FREE = ("base", "majority")
_SOFT_PROMPTS = ("prompt", "p_tuning")
_TRUNK = ("full", "lora", "qlora", "adapter", "ia3", "bitfit", "layers", "prefix", *_SOFT_PROMPTS)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is asked, and of what."""

    want: Want
    kind: str
    """The kind of task: `classification`, `generation`, ..."""
    num_rows: int
    """Training rows."""
    num_parameters: int
    is_causal: bool
    has_domains: bool = False
    """Whether the recipe measures other data than it trains on."""
    has_wordings: bool = False
    """Whether the recipe names several wordings of the question."""

    def __post_init__(self) -> None:
        """Raises: ValueError, for something else than one of WANTS."""
        if self.want not in get_args(Want):
            raise ValueError(f"{self.want}: expected one of {', '.join(get_args(Want))}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reason comes from."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that speaks for an arm (weight 1), against it (-1), or is to be known beside (0)."""

    text: str
    weight: int
    source: Source


@dataclass(frozen=True, slots=True)
class _Rule:
    arms: Sequence[str]
    when: Callable[[Situation], bool]
    reason: Reason


_BIDERMAN = Source("Biderman et al. (2024), LoRA Learns Less and Forgets Less", "https://arxiv.org/abs/2405.09673")
_BITFIT = Source("Ben Zaken, Goldberg, Ravfogel (2022), BitFit", "https://arxiv.org/abs/2106.10199")
_BROWN = Source("Brown et al. (2020), Language Models are Few-Shot Learners", "https://arxiv.org/abs/2005.14165")
_COMPARING = Source("Comparing ways to adapt a model", "docs/comparing.md")
_DETTMERS = Source("Dettmers et al. (2023), QLoRA", "https://arxiv.org/abs/2305.14314")
_GEKHMAN = Source(
    "Gekhman et al. (2024), Does Fine-Tuning LLMs on New Knowledge Encourage Hallucinations?", "https://arxiv.org/abs/2405.05904"
)
_HOULSBY = Source("Houlsby et al. (2019), Parameter-Efficient Transfer Learning for NLP", "https://arxiv.org/abs/1902.00751")
_HU = Source("Hu et al. (2021), LoRA", "https://arxiv.org/abs/2106.09685")
_IN_CONTEXT_DOCS = Source("In context", "docs/in-context.md")
_KUMAR = Source("Kumar et al. (2022), Fine-Tuning can Distort Pretrained Features", "https://arxiv.org/abs/2202.10054")
_LESTER = Source(
    "Lester, Al-Rfou, Constant (2021), The Power of Scale for Parameter-Efficient Prompt Tuning", "https://arxiv.org/abs/2104.08691"
)
_LEWIS = Source("Lewis et al. (2020), Retrieval-Augmented Generation", "https://arxiv.org/abs/2005.11401")
_LI = Source("Li, Liang (2021), Prefix-Tuning", "https://arxiv.org/abs/2101.00190")
_LIU = Source("Liu et al. (2022), Few-Shot Parameter-Efficient Fine-Tuning", "https://arxiv.org/abs/2205.05638")
_OVADIA = Source("Ovadia et al. (2023), Fine-Tuning or Retrieval?", "https://arxiv.org/abs/2312.05934")
_SCHULMAN = Source("Schulman et al. (2025), LoRA Without Regret", "https://thinkingmachines.ai/blog/lora/")


def _always(_: Situation) -> bool:
    return True


def _few(situation: Situation) -> bool:
    return situation.num_rows < FEW_ROWS


def _many(situation: Situation) -> bool:
    return situation.num_rows >= MANY_ROWS


def _knowledge(situation: Situation) -> bool:
    return situation.want == "knowledge"


def _behaviour(situation: Situation) -> bool:
    return situation.want == "behaviour"


def _changing(situation: Situation) -> bool:
    return situation.want == "changing-facts"


def _small(situation: Situation) -> bool:
    return situation.num_parameters < _LARGE


_RULES: tuple[_Rule, ...] = (
    _Rule(("base",), _always, Reason("What every other arm is held against, and nothing is run for it.", 1, _COMPARING)),
    _Rule(("majority",), _always, Reason("Costs nothing. An arm that does not beat it has learned nothing from the texts.", 1, _COMPARING)),
    _Rule(("scratch",), _always, Reason("The same model from random weights: it says what pretraining gives.", 0, _COMPARING)),
    _Rule(
        ("retrieval",),
        _changing,
        Reason("What such a model knows is brought up to date by replacing the index, with nothing trained anew.", 1, _LEWIS),
    ),
    _Rule(
        ("retrieval",),
        lambda s: s.want != "behaviour",
        Reason("Did better than tuning on the documents, in all that was asked, for what the models knew and for what was new.", 1, _OVADIA),
    ),
    _Rule(
        _TRUNK,
        lambda s: s.want != "behaviour" and s.is_causal,
        Reason(
            "Facts that are new to a model are learned slowly by tuning, and the more of them are learned, the more often it errs on what it knew before. Keep the early weights.",
            0,
            _GEKHMAN,
        ),
    ),
    _Rule(_TRUNK, _changing, Reason("Passages that are looked up did better than tuning on the documents, and weights stay as they are when the facts change.", -1, _OVADIA)),
    _Rule(
        ("few_shot",),
        _few,
        Reason("A few rows can be shown in the question: nothing is trained.", 1, _BROWN),
    ),
    _Rule(("few_shot",), lambda s: _few(s) and _small(s), Reason("How much examples help grew with the size of the model, up to 175 billion parameters.", 0, _BROWN)),
    _Rule(("few_shot",), lambda s: not _few(s), Reason("Training a few parameters did better than showing examples, and cost less for each answer.", -1, _LIU)),
    _Rule(("zero_shot",), lambda s: s.has_wordings, Reason("The best of your wordings is chosen on validation rows.", 1, _IN_CONTEXT_DOCS)),
    _Rule(("zero_shot",), lambda s: not s.has_wordings, Reason("Without several wordings to choose among it is the base. Name them: context.templates.", -1, _IN_CONTEXT_DOCS)),
    _Rule(
        ("head",),
        lambda s: _few(s) or s.has_domains,
        Reason(
            "Leaves the model as it is. On ten sets of images whose test data differed from the training data it did 7 points better there than full tuning, and 2 points worse on data like those it was trained on.",
            1,
            _KUMAR,
        ),
    ),
    _Rule(("bitfit",), lambda s: not s.is_causal and not _many(s), Reason("On BERT it kept up with full tuning, or did better, with small and medium training data.", 1, _BITFIT)),
    _Rule(("bitfit",), lambda s: not s.is_causal and _many(s), Reason("On BERT full tuning did better once there were many rows.", -1, _BITFIT)),
    _Rule(("full",), lambda s: not s.is_causal and _many(s), Reason("On BERT it did better than training the biases once there were many rows.", 1, _BITFIT)),
    _Rule(("lora",), lambda s: not _changing(s), Reason("As good as full tuning, or better, on RoBERTa, DeBERTa, GPT-2 and GPT-3.", 1, _HU)),
    _Rule(
        ("lora",),
        lambda s: _behaviour(s) and s.is_causal,
        Reason("With small to medium sets of instructions it learned as well as full tuning.", 1, _SCHULMAN),
    ),
    _Rule(("lora",), lambda s: s.is_causal, Reason("Learned less of programming and mathematics than full tuning, and forgot less of everything else.", 0, _BIDERMAN)),
    _Rule(
        ("full",),
        lambda s: _knowledge(s) and s.is_causal and _many(s),
        Reason("Learned more than LoRA from large sets of programs and mathematics. It also forgot more.", 1, _BIDERMAN),
    ),
    _Rule(("qlora",), _always, Reason("Kept what 16-bit tuning reaches, on a base in 4 bits: worth its slower steps where memory is short.", 0, _DETTMERS)),
    _Rule(("adapter",), lambda s: s.kind == "classification" and not s.is_causal and not _few(s), Reason("Came within 0.4 % of full tuning of BERT on GLUE, with 3.6 % of the parameters.", 0, _HOULSBY)),
    _Rule(("ia3",), lambda s: _few(s) and s.is_causal and not _changing(s), Reason("With a few dozen rows it did better than examples in the prompt, on models of 3 to 11 billion parameters.", 0, _LIU)),
    _Rule(("prefix",), lambda s: _few(s) and s.kind == "generation", Reason("With little data it did better than full tuning, on GPT-2 and BART.", 0, _LI)),
    _Rule(_SOFT_PROMPTS, _small, Reason("Came up to full tuning only in models of billions of parameters.", -1, _LESTER)),
    _Rule(_SOFT_PROMPTS, lambda s: not _small(s) and _behaviour(s), Reason("Matched full tuning in models of billions of parameters.", 1, _LESTER)),
)  # fmt: skip


def reasons_for(arm: str, situation: Situation) -> list[Reason]:
    """What the rules say of an arm, those that speak for it first.

    Args:
        arm: what it is known as, or the method or strategy of one of somebody's own.
    """
    found = [rule.reason for rule in _RULES if arm in rule.arms and rule.when(situation)]
    return sorted(found, key=lambda reason: -reason.weight)


def is_worth_trying(reasons: Sequence[Reason]) -> bool:
    """Whether more speaks for an arm than against it; of what nothing is known of, nothing does."""
    return sum(reason.weight for reason in reasons) > 0
