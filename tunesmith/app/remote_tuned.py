"""A run of a model behind an endpoint, loaded from its folder to be asked as it was when it was judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.app.answers import asked, said
from tunesmith.app.learned import learned, require_head, require_language_model
from tunesmith.app.remote import RemoteModel, chat_encoder, hear, remote_model
from tunesmith.app.shots import Shots, answer_room, load_shots
from tunesmith.app.task import Say
from tunesmith.app.tuned import Said
from tunesmith.core import registry
from tunesmith.core.events import Notice, Warned
from tunesmith.core.run import RunDirectory
from tunesmith.core.types import Example, Message, Objective, Origin, Prompt
from tunesmith.data import ChatEncoder
from tunesmith.recipe import Recipe
from tunesmith.report.numbers import numbered

__all__ = ["RemoteTuned", "load_remote"]

_HERE = Origin("prompt", 1)


@dataclass(frozen=True, slots=True)
class RemoteTuned:
    """Answers as `tuned.Tuned` does, without probabilities."""

    recipe: Recipe
    model: RemoteModel
    encoder: ChatEncoder
    kind: str
    """What it is asked for: one of the values of `chosen_objective.KINDS`."""
    shots: Shots

    classes: ClassVar[tuple[str, ...]] = ()
    """None has a probability."""
    cut_part: ClassVar[str] = ""
    """Nothing is left out of a question that is too long: its server refuses it."""

    def ask(self, examples: Sequence[Example], max_new_tokens: int | None = None, tick: Callable[[int], None] = lambda done: None) -> Said:
        """Labels, or texts; `tick` is told how many are done. Raises: FetchError; TunesmithError, where the budget is spent."""
        most = self.length(max_new_tokens)
        room = min(self.shots.room, answer_room(self.encoder, most))
        heard = hear(self.model, self.encoder, self.shots.put(examples, self.encoder, room).examples, most, tick)
        written = sum(answer.completion_tokens or 0 for answer in heard.answers)
        return Said(heard.outputs, 0, heard.num_cut, written)

    def predict(self, given: Sequence[Any]) -> list[dict[str, Any]]:
        """As `Run.predict`; the label is empty where the answer names none."""
        require_head(self.kind)
        outputs = self.ask([asked(self.kind, one, _HERE) for one in given]).outputs
        return [said(self.kind, output, self.classes) for output in outputs]

    def answer(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """As `Run.generate`."""
        require_language_model(self.kind)
        outputs = self.ask([Prompt((Message("user", text),), _HERE) for text in prompts], max_new_tokens).outputs
        return [output.text or "" for output in outputs]

    def length(self, max_new_tokens: int | None) -> int:
        """Where an answer is cut; `max_new_tokens`: where its asker says."""
        return max_new_tokens or self.recipe.evaluate.max_new_tokens

    def tell_of_cost(self, say: Say) -> None:
        """What the answers cost, and what came from the cache."""
        spending = self.model.spending
        paid = "" if spending.usd is None else f", {spending.usd:.4f} USD"
        say(
            Notice(
                f"{numbered(spending.num_requests, 'request')}: {spending.tokens_in:,} tokens read, {spending.tokens_out:,} written{paid}; "
                f"{numbered(self.model.num_kept, 'answer')} from the cache."
            )
        )
        if self.model.trouble:
            say(Warned(f"some rows got no answer. The last: {self.model.trouble}"))


def load_remote(directory: RunDirectory, say: Say = lambda event: None) -> RemoteTuned:
    """The model of a run. What is asked of it has the recipe's whole budget. Raises: RunError, where the run is not finished."""
    known = learned(directory)
    recipe, shots = known.recipe, load_shots(directory, known.recipe)
    objective: Objective = registry.create("objective", known.objective, **(recipe.objective.options if recipe.objective else {}))
    encoder = chat_encoder(recipe, objective, shots.labels, shots.variant.template)
    return RemoteTuned(recipe, remote_model(recipe, say), encoder, known.kind, shots)
