"""scikit-learn's own small tables: `digits`, `iris`, `wine`, `breast-cancer`. They lie in its package: nothing is fetched."""

from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import UsageError
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.table import Table, TableFacts

__all__ = ["Sklearn"]

_TABLES = {
    "digits": ("load_digits", "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49"),
    "iris": ("load_iris", "Fisher (1936), Iris, https://doi.org/10.24432/C56C76"),
    "wine": ("load_wine", "Aeberhard and Forina (1991), Wine, https://doi.org/10.24432/C5PC7J"),
    "breast-cancer": ("load_breast_cancer", "Wolberg et al. (1993), Breast Cancer Wisconsin (Diagnostic), https://doi.org/10.24432/C5DW2B"),
}
"""Alias -> the function that reads it, and where it is from."""
_LICENCE = "CC BY 4.0"


@dataclass(frozen=True, kw_only=True)
class Sklearn:
    """Read one of the tables: a number in each column, and the class in `label`."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is one of the names."""
        return isinstance(source, str) and source in _TABLES

    def read(self, source: Any) -> Table:
        """Every row, in the table's order."""
        try:
            from sklearn import datasets
        except ModuleNotFoundError:
            raise UsageError(
                f"{source}: lies in the package scikit-learn, which is not installed. Install it: pip install scikit-learn"
            ) from None
        function, citation = _TABLES[source]
        found = getattr(datasets, function)()
        columns = [str(name).replace(" (cm)", "").replace(" ", "_") for name in found.feature_names]
        names = [str(name) for name in found.target_names]
        records = [
            {**dict(zip(columns, map(float, row), strict=True)), "label": names[int(target)]}
            for row, target in zip(found.data, found.target, strict=True)
        ]
        origins = [Origin(source, number) for number in range(1, len(records) + 1)]
        return Table(records, origins, TableFacts(source, hash_of(records), _LICENCE, citation))
