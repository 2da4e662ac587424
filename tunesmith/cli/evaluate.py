"""`tunesmith evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, json_only

__all__ = ["evaluate"]


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="A run's id or folder, or a model: an alias, a hub id, a folder.", autocompletion=complete_runs
        ),
    ],
    suite: Annotated[
        list[str],
        typer.Option(
            metavar="NAME,...",
            help="Suites (mmlu, bbh, gsm8k, ...), their tasks, tasks of lm-eval, or paths of BIG-bench JSON files. Can be given again.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Read the suites' published files from here, a folder a suite; else the hub.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The most rows of each suite, spread over its tasks; else all.", show_default=False),
    ] = None,
    num_fewshot: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Solved examples before each question; else the suite's own number.", show_default=False),
    ] = None,
    base: Annotated[bool, typer.Option("--base/--no-base", help="Whether the model that a run began with is asked too.")] = True,
    chat_template: Annotated[
        bool, typer.Option("--chat-template", help="Write prompts as conversations, as the model's chat template has them.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write, which does not exist yet; else in runs/evaluations.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ask a model the questions of known suites: scores with intervals; of a run, differences to the model that it began with."""
    with json_only(json) as write_document:
        from tunesmith.app.evaluate import evaluate as evaluated
        from tunesmith.cli.progress import Progress
        from tunesmith.cli.suites import print_suites

        with Progress() as progress:
            document = evaluated(
                target,
                [name for given in suite for name in given.split(",")],
                data=data,
                limit=limit,
                num_fewshot=num_fewshot,
                base=base,
                chat_template=chat_template,
                out=out,
                progress=progress,
            )
        write_document({"schema": "tunesmith/evaluate/1", **document})
        if not json:
            print_suites(document)
