"""tunesmith: what prompts begin with is computed once for a batch of questions, and a question once for its choices."""

from benchmarks.legs._score import main, timed
from benchmarks.questions import Questions, Scored
from benchmarks.workload import Config
from tunesmith import __version__
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.probe import probe
from tunesmith.engine.scoring import Question, score
from tunesmith.model.load import load


def leg(questions: Questions, config: Config) -> Scored:
    """Score whole prompts, shots and all; the same whatever `config` it stands beside."""
    model = load(questions.model, need="lm")
    forward = PackedForward(model.trunk, {}, model.facts, probe(model.trunk, model.facts)).eval()
    forward.use_fused_layers()
    asked = [Question((*questions.shots, *one.question), one.choices) for one in questions.questions]
    return timed(questions, lambda: score(forward, asked), __version__)


if __name__ == "__main__":
    main(leg)
