"""tunesmith on a GPU: packed, fused, compiled."""

from collections.abc import Iterator

import torch

from benchmarks.gpu import LEARNING_RATE, LORA_ALPHA, LORA_R, SIZES, Setup
from benchmarks.legs._llama import Stopwatch, base_model, device, main, set_start, steps
from benchmarks.legs.ours import row_of
from benchmarks.workload import Measured
from tunesmith import __version__
from tunesmith.core.batch import Batch, collate
from tunesmith.core.types import ModelFacts
from tunesmith.engine.compiling import compile_layers
from tunesmith.engine.forward import PackedForward
from tunesmith.engine.loop import TrainingPlan, TrainingState, train
from tunesmith.engine.optimizers import make_optimizer
from tunesmith.engine.packing import pack
from tunesmith.engine.probe import probe
from tunesmith.method.lora import LoRA
from tunesmith.objective.sft import SFT


def _facts(setup: Setup, num_parameters: int) -> ModelFacts:
    config = SIZES[setup.size].config
    return ModelFacts(
        name=f"random Llama, {setup.size}",
        architecture="LlamaForCausalLM",
        model_type="llama",
        is_causal=True,
        is_encoder_decoder=False,
        has_lm_head=True,
        hidden_size=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        vocab_size=config["vocab_size"],
        max_length=config["max_position_embeddings"],
        first_position=0,
        has_token_types=False,
        pad_token_id=0,
        decoder_start_token_id=None,
        num_parameters=num_parameters,
        parts={},
    )


def _batches(setup: Setup, facts: ModelFacts) -> Iterator[list[Batch]]:
    for chosen in steps(setup):
        found = [row_of(row, index) for index, row in enumerate(chosen)]
        groups = pack([row.num_tokens for row in found], SIZES[setup.size].micro_batch_tokens)
        yield [collate([found[i] for i in group], facts) for group in groups]


def leg(setup: Setup) -> Measured:
    """Train."""
    model = base_model(setup)
    facts = _facts(setup, sum(p.numel() for p in model.parameters()))
    watch = Stopwatch(setup)
    forward = PackedForward(model, {}, facts, probe(model, facts))
    groups = LoRA(r=LORA_R, lora_alpha=LORA_ALPHA).apply(model)
    set_start(model, setup.seed)
    forward.use_fused_layers()
    how = "plain"
    if SIZES[setup.size].is_compiled:
        why_not = compile_layers(forward, SFT(), next(_batches(setup, facts))[0].to(device())).reason
        how = f"plain: {why_not}" if why_not else "compiled"
    torch.manual_seed(setup.seed)
    state = TrainingState(make_optimizer(groups, name="adamw", weight_decay=0.0))
    plan = TrainingPlan(setup.num_steps, setup.num_steps, LEARNING_RATE, "constant", 0, 1.0)
    losses = (step.loss for step in train(forward, SFT(), _batches(setup, facts), plan, state))
    return watch.measure(model, losses, f"tunesmith {__version__}, {forward.paths.attention}, layers {how}")


if __name__ == "__main__":
    main(leg)
