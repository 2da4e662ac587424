"""A finished run, as Python sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.run import RunDirectory, find_run

if TYPE_CHECKING:
    from tunesmith.app.tuned import Tuned

__all__ = ["Run"]


class Run:
    """What `tune` returns: the run's directory, its report, and the tuned model, loaded when it is first asked something."""

    def __init__(self, directory: RunDirectory | str | Path) -> None:
        self.directory = directory if isinstance(directory, RunDirectory) else find_run(directory)

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.directory.path

    @property
    def id(self) -> str:
        """The directory's name."""
        return self.directory.id

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """report.json: metrics with intervals, curves, costs, provenance. Raises: RunError, where the run did not get that far."""
        document: Mapping[str, Any] = self.directory.read_json(self.directory.report_json)
        return document

    @cached_property
    def model(self) -> Tuned:
        """The tuned model, loaded."""
        from tunesmith.app.tuned import load_tuned

        return load_tuned(self.directory)

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Classify texts, or pairs of texts.

        Returns: a dict for each text: `label`, and `probabilities` by label.
        Raises: UsageError, where the run is not a classifier's.
        """
        return self.model.classify(texts)

    def generate(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """Answer prompts, each as a conversation's first message, greedily.

        Raises: UsageError, where the run is not a language model's.
        """
        return self.model.answer(prompts, max_new_tokens)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.directory.status})"

    def _repr_html_(self) -> str:
        """The report's summary, table and pictures, for notebooks."""
        from tunesmith.report import html_fragment

        return html_fragment(self.directory)
