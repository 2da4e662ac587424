"""Facts about data: what a report says of every split."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from typing import Any

from tunesmith.data.encode import EncodedFacts
from tunesmith.data.labels import labels_of
from tunesmith.data.read import SourceFacts
from tunesmith.data.split import Splits, num_duplicates, num_overlapping

__all__ = ["inspect"]


def inspect(splits: Splits, encoded: Mapping[str, EncodedFacts], sources: Mapping[str, SourceFacts]) -> dict[str, Any]:
    """Rows, tokens, lengths, label balance, exact duplicates within and across splits.

    Args:
        encoded, sources: of each split by its name; a split that is not encoded (yet) has no tokens.
    Returns: the `data` part of a report.
    """
    named, found = splits.named(), dict[str, Any]()
    for name, examples in named.items():
        facts, source = encoded.get(name), sources.get(name)
        labels = Counter(label for example in examples for label in labels_of(example))
        order = [label for label in (source.labels if source else ()) if label in labels]
        found[name] = {
            "source": source.name if source else None,
            "sha256": source.sha256 if source else None,
            "rows": len(examples),
            "tokens": facts.num_tokens if facts else None,
            "lengths": asdict(facts.lengths) if facts else None,
            "labels": {label: labels[label] for label in [*order, *sorted(set(labels) - set(order))]},
            "num_cut": facts.num_cut if facts else 0,
            "num_dropped": facts.num_dropped if facts else 0,
            "num_invalid": source.num_invalid if source else 0,
            "notes": [*(source.notes if source else ()), *(facts.notes if facts else ())],
        }
    licences = dict.fromkeys(facts.licence for facts in sources.values() if facts.licence)
    return {
        "splits": found,
        "duplicates": {
            "within": {name: num_duplicates(examples) for name, examples in named.items()},
            "across": {f"{one}/{other}": num_overlapping(named[one], named[other]) for one, other in combinations(named, 2)},
        },
        "licence": ", ".join(licences) or None,
    }
