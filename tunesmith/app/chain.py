"""A chain: recipes run one after the other, each a run of its own, of which a later one may begin with what an earlier one made."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.app.anchor import anchored
from tunesmith.app.chain_sources import check_sources
from tunesmith.app.chosen_method import chosen_method
from tunesmith.app.group import Group, finish, named, running
from tunesmith.app.interruption import Interruption
from tunesmith.core.errors import RunError, TunesmithError
from tunesmith.core.events import Event, Notice, Stage
from tunesmith.core.files import write_json, write_text
from tunesmith.core.run import GroupDirectory, RunDirectory, list_groups, new_group_directory
from tunesmith.recipe import Chain, Recipe, dump, load_chain
from tunesmith.recipe.text import parse_yaml
from tunesmith.report import render_chain

__all__ = ["resume_chain", "tune_chain"]

Say = Callable[[Event], None]


def tune_chain(chain: Chain, *, progress: Say | None = None) -> Group:
    """Run the stages in their order.

    Where the same was begun before and interrupted or failed, it goes on with that.
    Returns: the group of the stages' runs.
    Raises: TunesmithError, as `tune`, naming the stage; what earlier stages made stays.
    """
    with Interruption() as interruption:
        say = interruption.checked(progress)
        whole = _whole(chain)
        return _run(_unfinished(whole, say) or _begun(whole), whole, say)


def resume_chain(directory: GroupDirectory, *, progress: Say | None = None) -> Group:
    """Go on with a chain that was interrupted. Raises: RunError, where it is finished; as `tune_chain`."""
    if directory.status == "done" and len(directory.runs) == len(directory.members):
        raise RunError(f"{directory.path}: this chain is finished. `tunesmith runs show {directory.path}` shows it.")
    with Interruption() as interruption:
        return _run(directory, load_chain(directory.recipe), interruption.checked(progress))


def _whole(chain: Chain) -> Chain:
    """With every default written out and files under their whole paths, so that it can be gone on with from anywhere."""
    stages = {stage: parse_yaml(dump(_with_a_method(chain, stage)), stage) for stage in chain.stages}
    return Chain(chain.name, chain.description, stages, chain.output_dir)


def _with_a_method(chain: Chain, stage: str) -> Recipe:
    """A stage's recipe, anchored. Raises: TunesmithError, where its method refuses an option, or it names a run that is not there."""
    recipe = chain.recipe(stage, {})
    try:
        chosen_method(recipe)
        return anchored(recipe)
    except TunesmithError as error:
        raise type(error)(f"{chain.name}: stages.{stage}: {error}") from None


def _unfinished(chain: Chain, say: Say) -> GroupDirectory | None:
    known = [GroupDirectory(Path(chain.output_dir))] if chain.output_dir else list(reversed(list_groups()))
    for group in known:
        if not group.asked.is_file() or not group.recipe.is_file() or group.kind != "stages":
            continue
        if group.recipe.read_text(encoding="utf-8") != chain.dump():
            continue
        if group.status in ("interrupted", "failed"):
            say(Notice(f"goes on with {group.path}, which was begun before."))
            return group
        if group.status == "running":
            say(Notice(f"{group.path} is of the same chain and running. Where it runs no more: tunesmith runs resume {group.path}"))
    return None


def _begun(chain: Chain) -> GroupDirectory:
    """Raises: TunesmithError, where a stage names what cannot be there, which would show only once the stages before have been run."""
    check_sources(chain)
    directory = new_group_directory(chain.name, "stages", Path(chain.output_dir) if chain.output_dir else None)
    write_json(directory.asked, {"kind": "stages", "values": list(chain.stages)})
    write_text(directory.recipe, chain.dump())
    return directory


def _run(directory: GroupDirectory, chain: Chain, say: Say) -> Group:
    members, runs = directory.by_value, dict[str, Path]()
    with running(directory, time.perf_counter()):
        for number, (stage, member) in enumerate(members.items()):
            with named(member, number, len(members), are_alike=False):
                recipe = chain.recipe(stage, runs).model_copy(update={"output_dir": str(member.path)})
                finish(member, recipe, say, f"{number + 1} of {len(members)}")
            runs[stage] = member.path.resolve()
        say(Stage("report", directory.id))
        write_json(directory.group_json, _document(directory, chain))
        render_chain(directory)
    return Group(directory)


def _document(directory: GroupDirectory, chain: Chain) -> dict[str, Any]:
    """group.json of a chain: of each stage what it did and measured."""
    reports = {stage: run.read_json(run.report_json) for stage, run in directory.by_value.items()}
    return {
        "schema": "tunesmith/chain/1",
        "group": directory.id,
        "directory": str(directory.path),
        "name": chain.name,
        "description": chain.description,
        "stages": {stage: _said(directory.by_value[stage], report) for stage, report in reports.items()},
        "cost": {name: sum(report["cost"].get(name) or 0.0 for report in reports.values()) for name in ("train_seconds", "total_seconds")},
    }


def _by_class(confusion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Of a classifier, for each class its test rows and how many of them base and tuned get right."""
    if confusion is None:
        return []
    return [
        {
            "label": label,
            "rows": sum(confusion["tuned"][at]),
            **{side: None if confusion[side] is None else confusion[side][at][at] for side in ("base", "tuned")},
        }
        for at, label in enumerate(confusion["labels"])
    ]


def _said(run: RunDirectory, report: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("task", "metrics", "warnings")
    return {
        "run": run.id,
        "directory": str(run.path),
        "model": report["model"]["name"],
        **{name: report[name] for name in kept},
        "classes": _by_class(report["confusion"]),
        "validations": report["curves"]["validation"],
        "cost": report["cost"],
    }
