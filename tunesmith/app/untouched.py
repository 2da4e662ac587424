"""The model of a run that adds tokens, as it came: what the tuned one is compared with."""

from dataclasses import replace

from tunesmith.app.judging import EncodedSplit
from tunesmith.app.placing import leaves_frozen, placed
from tunesmith.app.task import Say, Task, load_model, stop_tokens
from tunesmith.data import encode

__all__ = ["as_it_came"]


def as_it_came(task: Task, say: Say) -> Task:
    """The task before its model got tokens of its own: with another copy of the model, and the test rows and domains as that one reads them.

    An example of which its longer rows leave nothing to score keeps its place, with no rows.
    """
    recipe = task.recipe.model_copy(update={"model": task.recipe.model.model_copy(update={"add_tokens": None})})
    model = load_model(recipe, task.objective, say)
    forward = placed(model, recipe, task.device, is_frozen=leaves_frozen(task.method, task.model.trunk, recipe))
    encoder = replace(task.encoder, tokenizer=model.tokenizer, facts=model.facts)
    before = replace(
        task, recipe=recipe, model=model, encoder=encoder, forward=forward, stop_tokens=stop_tokens(model), splits={}, encoded={}
    )
    for name in ("test", *task.data.domains):
        split = task.splits[name]
        encoded = encode(split.examples, task.objective, encoder, name=name)
        before.splits[name] = EncodedSplit(split.examples, encoded.rows, encoded.examples, split.references)
        before.encoded[name] = encoded.facts
    return before
