"""The layout of a run directory. Everything that a run leaves behind is found through here; nothing here imports torch."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunError
from tunesmith.core.files import write_json

__all__ = ["RunDirectory", "check_output_dir", "find_run", "list_runs", "new_run_directory", "run_named"]


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run.

    recipe.yaml        the resolved recipe                     adapter/            what a parameter-efficient method trained
    environment.json   machine, versions, model, command       model/              the whole model, where all of it trained
    data.json          sources, hashes, rows                   heads.safetensors   new heads, with labels in heads.json
    steps.jsonl        one line a step or validation           checkpoints/        step-000123/: to resume from
    predictions.jsonl  test rows, base and tuned               report.json, report.html, README.md (model card)
    status.json        running, done, failed, interrupted      quarantine.jsonl    rows left out as invalid, where there were any
    """

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
    def predictions(self) -> Path:
        """One JSON line a test row."""
        return self.path / "predictions.jsonl"

    @property
    def report_json(self) -> Path:
        """The report, for programs."""
        return self.path / "report.json"

    @property
    def report_html(self) -> Path:
        """The report, for people."""
        return self.path / "report.html"

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
        """Record how the run stands, and add the seconds of a sitting that ends."""
        seconds, time = self.seconds + sitting_seconds, datetime.now(UTC).isoformat(timespec="seconds")
        write_json(self.path / "status.json", {"status": status, "message": message, "seconds": seconds, "time": time})

    def read_json(self, file: Path) -> Any:
        """A JSON document of this run. Raises: RunError, naming the file, where it is missing or broken."""
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"{file}: no such file; the run {self.id} did not get that far (`tunesmith runs resume {self.path}` goes on with it)."
            ) from None
        except (ValueError, OSError) as error:
            raise RunError(f"{file}: cannot be read ({error}).") from None

    def read_steps(self) -> Iterator[Mapping[str, Any]]:
        """The events of steps.jsonl; a last line that an interruption cut short is passed over."""
        if not self.steps.exists():
            return
        for line in self.steps.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


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
    if output_dir is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        output_dir, number = runs_folder / f"{name}-{stamp}", 1
        while output_dir.exists():
            number += 1
            output_dir = runs_folder / f"{name}-{stamp}-{number}"
    check_output_dir(output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{output_dir}: output_dir cannot be made ({error.strerror}). Name another.") from None
    run = RunDirectory(output_dir)
    run.set_status("running")
    return run


def find_run(name: str | Path, runs_folder: Path = Path("runs")) -> RunDirectory:
    """The run of that path or id (`run:ID` too, or the unambiguous beginning of one).

    Raises: RunError, where there is none, or several.
    """
    text = str(name).removeprefix("run:")
    for path in (Path(text), runs_folder / text):
        if (path / "recipe.yaml").is_file():
            return RunDirectory(path)
    found = [run for run in list_runs(runs_folder) if run.id.startswith(text)] if text else []
    if len(found) == 1:
        return found[0]
    if found:
        raise RunError(f"{text}: several runs begin so: {', '.join(run.id for run in found[:8])}. Name one whole.")
    raise RunError(
        f"{text}: no such run (looked for {text}/recipe.yaml and {runs_folder / text}/recipe.yaml). `tunesmith runs list` shows what there is."
    )


def run_named(name: str) -> RunDirectory | None:
    """The run of that name; None where it is a model's. Raises: RunError, where it is `run:ID` and there is none."""
    try:
        return find_run(name)
    except RunError:
        if name.startswith("run:"):
            raise
        return None


def list_runs(runs_folder: Path = Path("runs")) -> list[RunDirectory]:
    """The runs in a folder, oldest first."""
    if not runs_folder.is_dir():
        return []
    found = [RunDirectory(path.parent) for path in runs_folder.glob("*/recipe.yaml")]
    return sorted(found, key=lambda run: (run.recipe.stat().st_mtime, run.id))
