"""What earlier comparisons in this place measured of arms, as reasons for or against trying them again."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tunesmith.comparison.advice import Reason, Source
from tunesmith.core.errors import RunError
from tunesmith.core.run import GroupDirectory, list_groups
from tunesmith.report.comparison import read_comparison
from tunesmith.report.numbers import MISSING, count, p_value

__all__ = ["measured_before"]

_MOST = 3
"""Comparisons that are named, the latest first."""


def measured_before(kind: str) -> dict[str, list[Reason]]:
    """Arm -> what the last comparisons of a kind of task, in `runs`, measured of it. One that cannot be read is passed over."""
    found = defaultdict[str, list[Reason]](list)
    named = 0
    for group in reversed(list_groups()):
        document = _document(group)
        if document is None or document["task"]["kind"] != kind:
            continue
        source = Source(f"measured: {group.id}", str(group.path))
        for name, reason in _reasons(document, source).items():
            found[name].append(reason)
        named += 1
        if named == _MOST:
            break
    return dict(found)


def _document(group: GroupDirectory) -> Mapping[str, Any] | None:
    try:
        document: Mapping[str, Any] = group.read_json(group.group_json)
    except RunError:
        return None
    return document if document.get("schema") == "tunesmith/compare/1" else None


def _reasons(document: Mapping[str, Any], source: Source) -> dict[str, Reason]:
    read, data = read_comparison(document), document["data"]
    where = f"{document['model']}, {count(data['train_rows'])} training rows of {data['source']}"
    found = dict[str, Reason]()
    for row in read.rows:
        value = f"{read.title} {row.value.text(read.decimals)}" if row.value else f"{read.title} {MISSING}"
        beaten = document["arms"][row.name]["beaten"]
        said = f"was certainly worse than {beaten['by']} ({p_value(beaten['p_holm'])})" if beaten else "could not be told from the best arm"
        found[row.name] = Reason(f"On {where} it {said}: {value}.", -1 if beaten else 1, source)
    return found
