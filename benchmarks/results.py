"""RESULTS.md: a section a benchmark, written by the command that measured it."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.document import gate_lines, tables
from benchmarks.markdown import table
from tunesmith.core.files import write_text

__all__ = ["FILE", "machine_lines", "section", "update", "with_section"]

FILE = Path(__file__).parent / "RESULTS.md"
_HEAD = """# Results

Written by `python -m benchmarks NAME`; [how it is measured](../docs/benchmarks.md). Ratios are ours over theirs, the median with the least and the greatest over the repeats: more is
better for tokens a second, less for memory and time. They hold for the machine that a section names.
"""
_LEFT_OUT = ("title", "quick", "model_sha256")


def machine_lines(machine: Mapping[str, Any]) -> list[str]:
    """What a section says of the machine and of ours."""
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else ""
    on = "" if machine.get("device", "cpu") == "cpu" else f"{machine['device']}; "
    where = (
        on
        + f"{machine['processor']}, {machine['num_cores']} cores, {machine['num_threads']} threads{memory}; {machine['platform'].partition('-')[0]}"
    )
    versions = [
        f"{name} {number}"
        for name, number in machine["versions"].items()
        if name in ("python", "tunesmith", "torch", "transformers", "peft")
    ]
    return [f"- machine: {where}", f"- ours: {', '.join(versions)}"]


def section(name: str, document: Mapping[str, Any], today: date) -> str:
    """A passed document of the benchmark `name` as Markdown, from its heading on."""
    workload = document["workload"]
    what = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in workload.items() if name not in _LEFT_OUT)
    written = list[str]()
    for caption, (head, *rows) in tables(document).items():
        written += [f"{caption}.", ""] if caption else []
        written += table(head, rows)
        written.append("")
    return "\n".join(
        [
            f"## `{name}`, {workload['data']}",
            "",
            f"{workload['title']}.",
            "",
            f"{today.isoformat()}, {'two repeats (`--quick`)' if workload['quick'] else 'five repeats, of default configurations two'}.",
            "",
            *machine_lines(document["machine"]),
            *dict.fromkeys(f"- {peer['name']}, {peer['config']}: {peer['version']}" for peer in document["peers"].values()),
            f"- workload: {what}",
            "",
            *written,
            *(f"- {line}" for line in gate_lines(document)),
            "",
        ]
    )


def with_section(text: str, name: str, data: str, written: str) -> str:
    """The file `text` with the section of a benchmark put in, or replaced."""
    begin, end = f"<!-- {name} {data} -->", f"<!-- end of {name} {data} -->"
    block = f"{begin}\n\n{written}\n{end}\n"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end) + "\n", re.DOTALL)
    return found.sub(lambda _: block, text) if found.search(text) else f"{text or _HEAD}\n{block}"


def update(name: str, document: Mapping[str, Any]) -> None:
    """Write the section of a passed document into RESULTS.md. Raises: ValueError, for one that did not pass."""
    if not document["passed"]:
        raise ValueError("a document that did not pass has no results")
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    write_text(FILE, with_section(text, name, document["workload"]["data"], section(name, document, date.today())))
