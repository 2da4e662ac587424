"""Compare: every arm of a recipe on the same rows, and what that says.

Each arm is a run of its own, in a folder of the comparison; what was interrupted goes on with the run that it was in. Of trained arms some settings are tried first, on parts of
the training rows and judged by the validation rows. Arms that would not fit into what is left of the budget are not begun, those that can no longer win are not trained to their end, and one
that fails is left out: the report says so.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.app.anchor import anchored
from tunesmith.app.arms import arm_recipe, arms_of
from tunesmith.app.compare_document import build_comparison
from tunesmith.app.dataset import prepare_data, reading_once
from tunesmith.app.group import Group, finish, named, running, unfinished_or_new
from tunesmith.app.interruption import Interruption
from tunesmith.app.new_network import made_anew
from tunesmith.app.plan import Plan, RequestPlan
from tunesmith.app.predicting import calibrate, predicted_seconds
from tunesmith.app.search import Search, keep_search, load_search, num_rounds, search
from tunesmith.app.spending import spent_usd
from tunesmith.app.tune import plan
from tunesmith.app.validated import Validated, load_validated
from tunesmith.comparison.halving import best_first
from tunesmith.core.allocator import let_go
from tunesmith.core.errors import DiskFull, Interrupted, RunError, TunesmithError, UsageError
from tunesmith.core.events import Event, Notice, Stage, Warned
from tunesmith.core.files import write_json
from tunesmith.core.run import GroupDirectory, RunDirectory
from tunesmith.model.load import describe, load_tokenizer
from tunesmith.recipe import Recipe, load
from tunesmith.report import render_comparison
from tunesmith.report.numbers import size

__all__ = ["compare", "resume_comparison"]

Say = Callable[[Event], None]


def compare(recipe: Recipe, *, progress: Say | None = None) -> Group:
    """Run the recipe's arms on the same rows, and say which may be the best, and which of these to take.

    Where the same was begun before and interrupted or failed, it goes on with that.
    Raises: RecipeError, for arms that are not known or do not apply; UsageError, where the budget holds no arm; TunesmithError, as `tune`, where every arm fails.
    """
    with Interruption() as interruption, reading_once():
        say = interruption.checked(progress)
        recipe = anchored(recipe)
        arms = arms_of(recipe, is_causal=_is_causal(recipe))
        recipe = recipe.model_copy(update={"arms": dict(arms.changes)})
        return _run(unfinished_or_new(recipe, "arms", arms.run, say), recipe, say)


def _is_causal(recipe: Recipe) -> bool:
    """Whether a model goes on with a text, as any does that answers requests."""
    model = recipe.model
    if model.is_endpoint:
        return True
    if model.architecture is not None:
        return describe(made_anew(recipe, prepare_data(recipe).train))[1].is_causal
    return load_tokenizer(model.source, revision=model.revision, trust_remote_code=model.trust_remote_code, beside=model.beside)[
        1
    ].is_causal


def resume_comparison(directory: GroupDirectory, *, progress: Say | None = None) -> Group:
    """Go on with a comparison that was interrupted. Raises: RunError, where it is finished; as `compare`."""
    if directory.status == "done":
        raise RunError(f"{directory.path}: this comparison is finished. `tunesmith runs show {directory.path}` shows it.")
    with Interruption() as interruption, reading_once():
        return _run(directory, load(directory.recipe), interruption.checked(progress))


def _run(directory: GroupDirectory, recipe: Recipe, say: Say) -> Group:
    """Finish every arm that the budget holds, then read them together. What is wrong with the recipe, found by its first arm, leaves no folder behind."""
    started = time.perf_counter()
    with running(directory, started):
        one = _Comparison(directory, recipe, say, started - directory.seconds)
        one.run()
        say(Stage("report", directory.id))
        write_json(directory.group_json, build_comparison(directory, recipe, one.left_out, one.searches, one.spent))
        render_comparison(directory)
    return Group(directory)


@contextlib.contextmanager
def _until_its_turn() -> Iterator[None]:
    """Look at an arm that is not run yet: what is wrong with it is said then. Its model goes before the next one is loaded."""
    try:
        yield
    except (Interrupted, DiskFull):
        raise
    except TunesmithError:
        pass
    finally:
        let_go()


@dataclass(slots=True)
class _Comparison:
    """The arms on their way."""

    directory: GroupDirectory
    recipe: Recipe
    say: Say
    started: float
    """When it would have begun, had there been one sitting; as `time.perf_counter` says."""
    plans: dict[str, Plan | RequestPlan] = field(default_factory=dict)
    """Of the arms that were not begun yet, where there is a budget."""
    searches: dict[str, Search] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Finish the arms, with a budget the quickest first. Raises: UsageError, where none fits into it; TunesmithError, where every one fails."""
        members = self.directory.by_value
        order, failures = self._order(members), list[TunesmithError]()
        for number, name in enumerate(order):
            came = self._attempt(name, members[name], order[number + 1 :], f"{number + 1} of {len(members)}")
            if isinstance(came, TunesmithError):
                failures.append(came)
            if came:
                self.left_out[name] = str(came)
                self.say(Warned(f"{name}: left out: {came}"))
        if len(self.left_out) < len(members):
            return
        first = order[0]
        if failures:
            raise type(failures[0])(f"no arm could be run. {first}: {failures[0]}")
        raise UsageError(f"budget: it holds no arm. {first}: {self.left_out[first]}")

    @property
    def spent(self) -> float:
        """Seconds, of all sittings."""
        return time.perf_counter() - self.started

    def _order(self, members: Mapping[str, RunDirectory]) -> list[str]:
        if self.recipe.budget is None and self.recipe.budget_memory is None:
            return list(members)
        for name, member in members.items():
            if not member.recipe.is_file():
                with _until_its_turn():
                    self.plans[name] = plan(self._recipe_of(name, member), probes=self.say)
        return sorted(members, key=lambda name: self.plans[name].train_seconds if name in self.plans else 0.0)

    def _attempt(self, name: str, member: RunDirectory, later: Sequence[str], place: str) -> str | TunesmithError:
        """Run an arm, or go on with it. Returns: empty where it is done; why there is no room for it or no need, or what went wrong with it, which is no reason to lose the others."""
        num_done = sum(run.status == "done" for run in self.directory.runs)
        try:
            why = self._no_room(name) or self._no_money(name, member)
            if why:
                return why
            with named(member, num_done, len(self.directory.members)):
                self._calibrate(name, member)
                found = self.searches[name] = self._searched(name, later)
                if found.cannot_win:
                    return found.cannot_win
                finish(member, self._recipe_of(name, member), self.say, place)
        except (Interrupted, DiskFull):
            raise
        except TunesmithError as error:
            return type(error)(f"it failed: {str(error).removeprefix(f'{member.id}: ')}")
        return ""

    def _calibrate(self, name: str, member: RunDirectory) -> None:
        """Probe what is not known yet and tells what the arm will take, where no plan did. What is wrong with it is said where it is run."""
        recipe = self._recipe_of(name, member)
        if name not in self.plans and not member.recipe.is_file() and not recipe.model.is_endpoint:
            with _until_its_turn():
                calibrate(recipe, self.say)

    def _changes(self, name: str) -> list[str]:
        return (self.recipe.arms or {})[name] or []

    def _recipe_of(self, name: str, member: RunDirectory) -> Recipe:
        found = self.searches[name].changes if name in self.searches else ()
        own = {"output_dir": str(member.path), "budget_usd": self._usd_left}
        return arm_recipe(self.recipe, name, [*self._changes(name), *found]).model_copy(update=own)

    @property
    def _usd_left(self) -> float | None:
        """Of `budget_usd`, which is for all arms together; None where there is none."""
        if self.recipe.budget_usd is None:
            return None
        return self.recipe.budget_usd - math.fsum(spent_usd(run.requests) for run in self.directory.runs)

    def _no_room(self, name: str) -> str:
        """Why an arm is not begun; empty where it is. One that was begun is finished."""
        if name not in self.plans:
            return ""
        memory, most = self.plans[name].peak_memory_bytes, self.recipe.budget_memory
        if most is not None and memory > most:
            return f"it would take about {size(memory)} of memory, more than the {size(most)} of budget_memory."
        if self.recipe.budget is None:
            return ""
        left = self.recipe.budget - self.spent
        if left <= 0:
            return f"{self.spent:.0f} s of {self.recipe.budget:.0f} s were spent."
        predicted = self._predicted(name)
        return (
            "" if predicted <= left else f"it would take about {predicted:.0f} s, and {left:.0f} s of {self.recipe.budget:.0f} s are left."
        )

    def _no_money(self, name: str, member: RunDirectory) -> str:
        """Why an arm of a model behind an endpoint is not begun; empty where it is."""
        left = self._usd_left
        if left is None or left > 0 or member.recipe.is_file() or not self._recipe_of(name, member).model.is_endpoint:
            return ""
        return f"all of {self.recipe.budget_usd:g} USD were spent."

    def _predicted(self, *names: str) -> float:
        """Seconds of these arms' whole runs; of those that were begun none."""
        done = [run.read_json(run.report_json) for run in self.directory.runs if run.report_json.is_file()]
        return math.fsum(predicted_seconds(self.plans[name], done) for name in names if name in self.plans)

    def _searched(self, name: str, later: Sequence[str]) -> Search:
        """Its settings searched, if that leaves the arms that come later their time."""
        folder = self.directory.search / name
        kept = load_search(folder)
        if kept is not None:
            return kept
        changes, found = self._changes(name), Search(())
        count = num_rounds(self.recipe, name, changes)
        if count and self._has_time(name, later, count):
            leader = self._leader() if self.recipe.budget is not None else None
            found = search(folder, self.recipe, name, changes, self.say, leader=leader)
        elif count:
            self.say(Notice(f"{name}: its settings are not searched, as the budget is for training every arm once first."))
        keep_search(folder, found)
        return found

    def _has_time(self, name: str, later: Sequence[str], num_rounds: int) -> bool:
        """Whether every arm that was not begun can be trained once, and this one's rounds held, each of which takes about as long as its training."""
        if self.recipe.budget is None or name not in self.plans:
            return True
        needed = self._predicted(*later, *[name] * (1 + num_rounds))
        return self.spent + needed <= self.recipe.budget

    def _leader(self) -> tuple[str, Validated] | None:
        """The arm that is done and that validation rows liked best."""
        done = {
            name: load_validated(run.validation)
            for name, run in self.directory.by_value.items()
            if run.validation.is_file() and run.report_json.is_file()
        }
        told = list(done.values())
        if not told:
            return None
        best = best_first([(one.value, one.loss) for one in told], higher_is_better=told[0].higher_is_better)[0]
        return list(done)[best], told[best]
