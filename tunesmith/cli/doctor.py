"""`tunesmith doctor`."""

from __future__ import annotations

from tunesmith.cli.output import JsonOption, json_only

__all__ = ["doctor"]


def doctor(json: JsonOption = False) -> None:
    """Say what this machine offers: Python, torch, cores, memory, devices, disk, cached models, hub settings."""
    with json_only(json) as write_document:
        from tunesmith.app.doctor import examine
        from tunesmith.cli import tables

        found = examine()
        write_document({"schema": "tunesmith/doctor/1", **found})
        if not json:
            tables.print_facts(found)
