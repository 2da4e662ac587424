"""A finished run, as Python sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.run import RunDirectory, find_run

if TYPE_CHECKING:
    from tunesmith.app.learned import Learned
    from tunesmith.app.remote_tuned import RemoteTuned
    from tunesmith.app.tuned import Tuned
    from tunesmith.core.events import Event

__all__ = ["Run"]


class Run:
    """What `tune` returns: the run's directory, its report, and the tuned model, loaded when it is first asked something."""

    def __init__(self, directory: RunDirectory | str | Path) -> None:
        """Find a run.

        Args:
            directory: its folder, its id, or the beginning of one; a relative path means the folder that is current now.
        Raises: RunError, where there is none, or several.
        """
        found = directory if isinstance(directory, RunDirectory) else find_run(directory)
        self.directory = RunDirectory(found.path.absolute())

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
    def _learned(self) -> Learned:
        from tunesmith.app.learned import learned

        return learned(self.directory)

    @cached_property
    def model(self) -> Tuned | RemoteTuned:
        """The tuned model, loaded; of one behind an endpoint what it takes to ask it."""
        if self._learned.recipe.model.is_endpoint:
            from tunesmith.app.remote_tuned import load_remote

            return load_remote(self.directory)
        from tunesmith.app.tuned import load_tuned

        return load_tuned(self.directory)

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, str]] | Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """What the tuned head says to texts, or pairs of texts.

        Args:
            texts: a list, also where it is one text only: `predict(["..."])`. Of a text that is longer than the model reads the end is left out.
                For spans, pairs of (question, context); for tags, lists of words; for rewards, pairs of (prompt, answer).
        Returns: a dict for each text: of a classifier `label` and `probabilities` by label (of one with many labels, `labels`), of a
            regression `value`, of spans `answer`, of tags `tags`, of a reward model `reward`.
        Raises: UsageError, where the run is a language model's, or something in `texts` is not of its kind.
        """
        from tunesmith.app.learned import checked_given, require_head

        kind = self._learned.kind
        checked = checked_given(texts, kind)
        require_head(kind)
        return self.model.predict(checked)

    def generate(self, prompts: Sequence[str], max_new_tokens: int | None = None) -> list[str]:
        """Answer prompts, each as a conversation's first message, greedily.

        Args:
            prompts: a list, also where it is one prompt only: `generate(["..."])`.
            max_new_tokens: where an answer is cut; None: as the run's recipe says.
        Raises: UsageError, where the run is not a language model's, or something in `prompts` is no text.
        """
        from tunesmith.app.learned import checked_length, checked_texts, require_language_model

        checked = checked_texts(prompts, "prompts")
        require_language_model(self._learned.kind)
        return self.model.answer(checked, checked_length(max_new_tokens))

    def predict_file(
        self,
        file: str | Path,
        out: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        max_new_tokens: int | None = None,
        overwrite: bool = False,
        skip_invalid: bool = False,
        progress: Callable[[Event], None] | None = None,
    ) -> dict[str, Any]:
        """Predict every row of a file of any size, as `tunesmith predict` does.

        Args:
            file: csv, tsv, json, jsonl, parquet or txt.
            out: csv, tsv or jsonl: the rows of `file` and what was predicted.
            columns: role -> column of `file`, `{"text": "comment"}`; None: the recipe's, or the usual names.
            max_new_tokens: where an answer is cut; None: as the run's recipe says.
            overwrite: whether an `out` that exists is replaced.
            skip_invalid: whether rows that cannot be predicted are left out, and kept in `out`.invalid.jsonl; else the first is an error.
            progress: is told what happens, event by event.
        Returns: {run, file, out, rows, columns, num_too_long, num_cut, num_invalid}; `columns` are the names of what was added.
        Raises: UsageError, DataError, Interrupted; nothing is written then.
        """
        from tunesmith.app.predict import predict_file

        return predict_file(
            self.directory,
            Path(file),
            Path(out),
            columns=columns,
            max_new_tokens=max_new_tokens,
            overwrite=overwrite,
            skip_invalid=skip_invalid,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.directory.status})"

    def _repr_html_(self) -> str:
        """The report's summary, table and pictures, for notebooks."""
        from tunesmith.report import html_fragment

        return html_fragment(self.directory)
