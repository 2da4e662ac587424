"""The layout of a run directory, and of a group of runs. Everything that they leave behind is found through here; nothing here imports torch."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import RunError
from tunesmith.core.files import write_json, write_text

__all__ = [
    "GroupDirectory",
    "RunDirectory",
    "check_output_dir",
    "dated_place",
    "find",
    "find_run",
    "list_groups",
    "list_runs",
    "new_group_directory",
    "new_run_directory",
    "run_named",
]

Kind = Literal["seeds", "curve", "arms", "stages"]
"""What the runs of a group differ in: the seed, how many of the training rows they learn from, how the model is adapted, or which stage of a chain they are."""

ASKED = "asked.json"
"""The file by which a group is told from a run."""


@dataclass(frozen=True, slots=True)
class _Directory:
    """What runs and groups have in common: a recipe, a status, a page."""

    path: Path

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def report_html(self) -> Path:
        """The report, for people."""
        return self.path / "report.html"

    @property
    def status(self) -> str:
        """running, done, failed, interrupted; `unknown` where no status was written."""
        file = self.path / "status.json"
        return str(self.read_json(file)["status"]) if file.exists() else "unknown"

    @property
    def seconds(self) -> float:
        """Wall clock of the sittings that ended before now, in seconds."""
        file = self.path / "status.json"
        return float(self.read_json(file).get("seconds", 0.0)) if file.exists() else 0.0

    def set_status(self, status: str, message: str = "", *, sitting_seconds: float = 0.0) -> None:
        """Record how it stands, and add the seconds of a sitting that ends."""
        seconds, time = self.seconds + sitting_seconds, datetime.now(UTC).isoformat(timespec="seconds")
        write_json(self.path / "status.json", {"status": status, "message": message, "seconds": seconds, "time": time})

    def read_json(self, file: Path) -> Any:
        """A JSON document of this directory. Raises: RunError, naming the file, where it is missing or broken."""
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"{file}: no such file; {self.id} did not get that far (`tunesmith runs resume {self.path}` goes on with it)."
            ) from None
        except (ValueError, OSError) as error:
            raise RunError(f"{file}: cannot be read ({error}).") from None


@dataclass(frozen=True, slots=True)
class RunDirectory(_Directory):
    """The files of one run.

    recipe.yaml        the resolved recipe                     adapter/            what a parameter-efficient method trained
    environment.json   machine, versions, model, command       model/              the whole model, where all of it trained
    data.json          sources, hashes, rows                   heads.safetensors   new heads, with labels in heads.json
    steps.jsonl        one line a step or validation           checkpoints/        step-000123/: to resume from
    predictions.jsonl  test rows, base and tuned               report.json, report.html, README.md (model card)
    validation.json    what the validation rows contributed to the value by which the best weights were chosen
    retention.json     the same of what is not to be forgotten    axes.json, conversations.json   what the commands of those names measured
    context.json       what stands in the model's context, where nothing was trained
    direct.json, trials.jsonl    of the method direct, what was found, and one line a setting that was tried
    rollouts.jsonl     of a policy that learns from its own answers, one of each rollout
    pairs.jsonl, pairs-test.jsonl    of best-of-n, the best and the worst answer to each prompt
    requests.jsonl     one line a request that a model behind an endpoint was paid for
    network.h5         the tuned network for Keras, where the recipe asks for it
    status.json        running, done, failed, interrupted      quarantine.jsonl    rows left out as invalid, where there were any
    """

    @property
    def environment(self) -> Path:
        """Machine, versions, model and command."""
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        """Data facts."""
        return self.path / "data.json"

    @property
    def quarantine(self) -> Path:
        """One JSON line a row that was left out as invalid: file, row, reason, raw."""
        return self.path / "quarantine.jsonl"

    @property
    def steps(self) -> Path:
        """One JSON line a step or validation."""
        return self.path / "steps.jsonl"

    @property
    def context(self) -> Path:
        """What stands in the model's context, where nothing was trained."""
        return self.path / "context.json"

    @property
    def h5(self) -> Path:
        """The tuned network as Keras reads it, where the recipe asks for it."""
        return self.path / "network.h5"

    @property
    def requests(self) -> Path:
        """One JSON line a request that a model behind an endpoint was paid for."""
        return self.path / "requests.jsonl"

    @property
    def direct(self) -> Path:
        """What the method `direct` found, and whether it was kept."""
        return self.path / "direct.json"

    @property
    def trials(self) -> Path:
        """One JSON line a setting that it tried."""
        return self.path / "trials.jsonl"

    @property
    def rollouts(self) -> Path:
        """One JSON line a rollout: a prompt, an answer of the policy as it was then, and its reward."""
        return self.path / "rollouts.jsonl"

    def read_rollouts(self) -> list[dict[str, Any]]:
        """What `add_rollout` kept, in order."""
        if not self.rollouts.is_file():
            return []
        return [json.loads(line) for line in self.rollouts.read_text(encoding="utf-8").splitlines()]

    @property
    def pairs(self) -> Path:
        """Pairs of answers, of which one is rewarded more, to learn from: the format `preference`."""
        return self.path / "pairs.jsonl"

    @property
    def test_pairs(self) -> Path:
        """The same of the test prompts."""
        return self.path / "pairs-test.jsonl"

    def add_rollout(self, number: int, shown: Mapping[str, object]) -> None:
        """Keep what is shown of a rollout, in line `number`, from 0 on. What stands there or behind is of a sitting whose steps are done again, and goes."""
        before = self.rollouts.read_text(encoding="utf-8").splitlines(keepends=True)[:number] if self.rollouts.exists() else []
        write_text(self.rollouts, "".join([*before, json.dumps({"rollout": number, **shown}) + "\n"]))

    @property
    def predictions(self) -> Path:
        """One JSON line a test row."""
        return self.path / "predictions.jsonl"

    @property
    def validation(self) -> Path:
        """What the validation rows contributed to the value by which the best weights were chosen."""
        return self.path / "validation.json"

    @property
    def retention(self) -> Path:
        """What base and tuned contributed to what was not to be forgotten, row by row."""
        return self.path / "retention.json"

    @property
    def axes(self) -> Path:
        """What `tunesmith axes` measured, where it did."""
        return self.path / "axes.json"

    @property
    def conversations(self) -> Path:
        """What `tunesmith conversations` measured, where it did."""
        return self.path / "conversations.json"

    @property
    def report_json(self) -> Path:
        """The report, for programs."""
        return self.path / "report.json"

    @property
    def model_card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """What a parameter-efficient method trained, in peft's format."""
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """The whole model, in transformers' format."""
        return self.path / "model"

    @property
    def heads(self) -> Path:
        """Weights of the heads."""
        return self.path / "heads.safetensors"

    @property
    def heads_config(self) -> Path:
        """Names, shapes and labels of the heads."""
        return self.path / "heads.json"

    def read_steps(self) -> Iterator[Mapping[str, Any]]:
        """The events of steps.jsonl; a last line that an interruption cut short is passed over."""
        if not self.steps.exists():
            return
        for line in self.steps.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


@dataclass(frozen=True, slots=True)
class GroupDirectory(_Directory):
    """The files of a group: runs of one recipe that are read together.

    recipe.yaml        the recipe that they share              seed-0/, seed-1/, ...      a run each, of one seed each
    asked.json         which runs: kind and values             part-0.1/, part-1.0/, ...  a run each, of a part of the training rows each
    status.json        as a run's                              arm-lora/, arm-full/, ...  a run each, of a way to adapt the model each
    group.json, report.html    what they say together, once all are done
    search/            of arms, what was tried on parts of the training rows
    """

    @property
    def asked(self) -> Path:
        """Which runs it has: `{kind, values}`."""
        return self.path / ASKED

    @property
    def group_json(self) -> Path:
        """What the runs say together, for programs."""
        return self.path / "group.json"

    @property
    def search(self) -> Path:
        """Folder of what was tried on parts of the training rows, arm by arm."""
        return self.path / "search"

    @property
    def kind(self) -> Kind:
        """What its runs differ in."""
        kind: Kind = self.read_json(self.asked)["kind"]
        return kind

    @property
    def values(self) -> list[Any]:
        """The seeds, the parts of the training rows, or the arms, of its runs."""
        return list(self.read_json(self.asked)["values"])

    @property
    def members(self) -> list[RunDirectory]:
        """Its runs, whether they are there yet or not."""
        name = {"seeds": "seed-", "curve": "part-", "arms": "arm-", "stages": ""}[self.kind]
        return [RunDirectory(self.path / f"{name}{value}") for value in self.values]

    @property
    def by_value(self) -> dict[Any, RunDirectory]:
        """Its runs by their seed, part or arm."""
        return dict(zip(self.values, self.members, strict=True))

    @property
    def runs(self) -> list[RunDirectory]:
        """Those of its runs that are there."""
        return [run for run in self.members if run.recipe.is_file()]


def check_output_dir(output_dir: Path) -> None:
    """Raises: RunError, where `output_dir` is a file, or a folder that is not empty."""
    if (output_dir / "recipe.yaml").is_file():
        raise RunError(f"{output_dir}: output_dir holds a run already. Name another, or go on with it: tunesmith runs resume {output_dir}")
    if output_dir.is_dir() and any(output_dir.iterdir()):
        raise RunError(f"{output_dir}: output_dir exists and is not empty. Name another folder.")
    if output_dir.exists() and not output_dir.is_dir():
        raise RunError(f"{output_dir}: output_dir is a file. Name a folder.")


def new_run_directory(name: str, output_dir: Path | None, runs_folder: Path = Path("runs")) -> RunDirectory:
    """Make the directory of a new run: `output_dir`, or `runs/NAME-DATE-TIME`.

    Raises: RunError, where `output_dir` cannot be used or made.
    """
    run = RunDirectory(_new_folder(name, output_dir, runs_folder))
    run.set_status("running")
    return run


def new_group_directory(name: str, kind: Kind, output_dir: Path | None, runs_folder: Path = Path("runs")) -> GroupDirectory:
    """Make the directory of a new group: `output_dir`, or `runs/NAME-KIND-DATE-TIME`. Raises: as `new_run_directory`."""
    group = GroupDirectory(_new_folder(f"{name}-{kind}", output_dir, runs_folder))
    group.set_status("running")
    return group


def dated_place(folder: Path, name: str) -> Path:
    """`folder/NAME-DATE-TIME`, with a number behind it where that is taken."""
    first = folder / f"{name}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    later = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(place for place in itertools.chain([first], later) if not place.exists())


def _new_folder(name: str, output_dir: Path | None, runs_folder: Path) -> Path:
    output_dir = output_dir or dated_place(runs_folder, name)
    check_output_dir(output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{output_dir}: output_dir cannot be made ({error.strerror}). Name another.") from None
    return output_dir


def find_run(name: str | Path, runs_folder: Path = Path("runs")) -> RunDirectory:
    """The run of that path or id (`run:ID` too, or the unambiguous beginning of one); of a group's runs, `GROUP/RUN`.

    Raises: RunError, where there is none, or several, or where it is a group.
    """
    found = find(name, runs_folder)
    if isinstance(found, GroupDirectory):
        runs = ", ".join(str(run.path) for run in found.runs)
        raise RunError(f"{found.path}: is a group of runs. Name one of them: {runs or 'there is none yet'}.")
    return found


def find(name: str | Path, runs_folder: Path = Path("runs")) -> RunDirectory | GroupDirectory:
    """The run or group of that path or id, or of the unambiguous beginning of one. Raises: RunError, where there is none, or several."""
    text = str(name).removeprefix("run:")
    for path in (Path(text), runs_folder / text):
        if (path / ASKED).is_file():
            return GroupDirectory(path)
        if (path / "recipe.yaml").is_file():
            return RunDirectory(path)
    known: list[RunDirectory | GroupDirectory] = [*list_runs(runs_folder), *list_groups(runs_folder)]
    found = [one for one in known if one.id.startswith(text)] if text else []
    if len(found) == 1:
        return found[0]
    if found:
        raise RunError(f"{text}: several runs begin so: {', '.join(run.id for run in found[:8])}. Name one whole.")
    places = " and ".join(dict.fromkeys(f"{place}/recipe.yaml" for place in (text, runs_folder / text)))  # a whole path is one place
    raise RunError(f"{text}: no such run (looked for {places}). `tunesmith runs list` shows what there is.")


def run_named(name: str) -> RunDirectory | None:
    """The run of that name; None where it is a model's. Raises: RunError, where it is `run:ID` and there is none."""
    try:
        return find_run(name)
    except RunError:
        if name.startswith("run:"):
            raise
        return None


def list_runs(runs_folder: Path = Path("runs")) -> list[RunDirectory]:
    """The runs in a folder, oldest first; without those of groups."""
    return [RunDirectory(path) for path in _folders_with_a_recipe(runs_folder) if not (path / ASKED).is_file()]


def list_groups(runs_folder: Path = Path("runs")) -> list[GroupDirectory]:
    """The groups of runs in a folder, oldest first."""
    return [GroupDirectory(path) for path in _folders_with_a_recipe(runs_folder) if (path / ASKED).is_file()]


def _folders_with_a_recipe(folder: Path) -> list[Path]:
    found = [file.parent for file in folder.glob("*/recipe.yaml")] if folder.is_dir() else []
    return sorted(found, key=lambda path: ((path / "recipe.yaml").stat().st_mtime, path.name))
