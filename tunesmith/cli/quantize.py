"""`tunesmith quantize`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.completion import runs as complete_runs
from tunesmith.cli.output import JsonOption, console, json_only

__all__ = ["quantize"]


def quantize(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="A run's id or folder, or a model: an alias, a hub id, a folder.", autocompletion=complete_runs
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="int8, nf4, fp4 (folders of bitsandbytes), int4 (of compressed-tensors), bf16, fp16, gguf:q8_0, gguf:q4_0, gguf:f16.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="What to write, which does not exist yet; else NAME-FORM, or NAME-TYPE.gguf, in the current folder.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The most test rows to judge by; else all. Of a model: pages of python-reference, else 20.",
            show_default=False,
        ),
    ] = None,
    max_loss: Annotated[
        float, typer.Option(min=0.0, metavar="SHARE", help="How much worse a metric may certainly be, as a share of its value before.")
    ] = 0.05,
    force: Annotated[bool, typer.Option("--force", help="Write it even where it is broken, or cannot be judged.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a run, merged into its base, or a model, in fewer bits; judged before and after, and refused where that breaks it."""
    with json_only(json) as write_document:
        from tunesmith.app.quantize import quantize as quantized
        from tunesmith.cli.progress import Progress

        with Progress() as progress:
            document = quantized(target, to, output=output, limit=limit, max_loss=max_loss, force=force, progress=progress)
        write_document({"schema": "tunesmith/quantize/1", **document})
        if not json:
            for line in _lines(document):
                console().print(line)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    from tunesmith.report.numbers import count, decimals_for, fixed, interval, signed, size

    before, after = document["size"]["before_bytes"], document["size"]["after_bytes"]
    yield f"weights: {size(before)} before, {size(after)} in {document['to']}"
    if math.isfinite(document["weight_error"]):
        yield f"linear layers' weights: off by {document['weight_error']:.2%} of their size (root mean square)"
    speed = document["tokens_per_second"]
    if speed["after"] is not None:
        yield f"tokens a second: {count(speed['before'])} before, {count(speed['after'])} after"
    for name, entry in document["metrics"].items():
        was, now, difference = entry["before"], entry["after"], entry["difference"]
        places = decimals_for((was["low"], was["high"]), (now["low"], now["high"]), (difference["low"], difference["high"]))
        is_known = math.isfinite(difference["low"])  # where no row's answer changed there is nothing to draw from
        span = interval(difference["low"], difference["high"], places) if is_known else "no interval"
        yield (
            f"{name}: {fixed(was['value'], places)} before, {fixed(now['value'], places)} after: {signed(difference['value'], places)} "
            f"({span}), {entry['rows']:,} rows"
        )
    for problem in document["problems"]:
        yield f"warning: {problem}"
    yield f"{document['output']}: {size(document['size']['output_bytes'])}"
