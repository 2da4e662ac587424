"""tunesmith, as `tunesmith evaluate` asks: what prompts begin with is computed once for a batch of questions, and a question once for its choices."""

from benchmarks.legs._score import main, timed
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config
from tunesmith import __version__
from tunesmith.app.suites.language_model import EngineLM
from tunesmith.app.tuned import load_base
from tunesmith.recipe import from_mapping


def leg(questions: Questions, config: Config) -> Scored:
    """Score whole prompts, shots and all; the same whatever `config` it stands beside."""
    model = load_base(from_mapping({"model": questions.model, "data": "none"}, name="evaluation"))
    return timed(questions, EngineLM(model, questions.model, lambda _event: None), __version__)


if __name__ == "__main__":
    main(leg)
