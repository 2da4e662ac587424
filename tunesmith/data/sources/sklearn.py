"""scikit-learn's own small tables: `digits`, `iris`, `wine`, `breast-cancer`. Read as data out of its package: the installed one, else one that is fetched."""

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import FetchError
from tunesmith.core.fetch import fetch_package, read_member
from tunesmith.core.files import hash_of
from tunesmith.core.types import Origin
from tunesmith.data.table import Table, TableFacts

__all__ = ["Sklearn"]

_PACKAGE = (
    "scikit-learn",
    "1.9.1",
    "scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
)
"""Opened as an archive, whatever the machine."""
_LICENCE = "CC BY 4.0"
_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A table: a row of numbers in each line, the class last."""

    file: str
    columns: tuple[str, ...]
    citation: str
    labels: tuple[str, ...] = ()
    """Where the first line does not name them."""


_TABLES = {
    "digits": _Kept(
        "digits.csv.gz",
        tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49",
        tuple("0123456789"),
    ),
    "iris": _Kept(
        "iris.csv",
        ("sepal_length", "sepal_width", "petal_length", "petal_width"),
        "Fisher (1936), Iris, https://doi.org/10.24432/C56C76",
    ),
    "wine": _Kept(
        "wine_data.csv",
        (
            "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols",
            "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
        ),
        "Aeberhard and Forina (1991), Wine, https://doi.org/10.24432/C5PC7J",
    ),
    "breast-cancer": _Kept(
        "breast_cancer.csv",
        (*(f"mean_{name}" for name in _CELL), *(f"{name}_error" for name in _CELL), *(f"worst_{name}" for name in _CELL)),
        "Wolberg et al. (1993), Breast Cancer Wisconsin (Diagnostic), https://doi.org/10.24432/C5DW2B",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sklearn:
    """Read one of the tables: a number in each column, and the class in `label`."""

    rank = 10

    def claims(self, source: Any) -> bool:
        """Whether `source` is one of the names."""
        return isinstance(source, str) and source in _TABLES

    def read(self, source: Any) -> Table:
        """Every row, in the table's order. Raises: FetchError, where the package is not installed and cannot be had."""
        kept = _TABLES[source]
        lines = [line.split(",") for line in _content(kept.file).decode("ascii").split()]
        labels = kept.labels or tuple(lines.pop(0)[2:])
        records = list[dict[str, Any]]()
        for line in lines:
            if len(line) != len(kept.columns) + 1:
                raise FetchError(f"{kept.file}: a line of {len(line)} fields, expected {len(kept.columns) + 1}.")
            records.append({**dict(zip(kept.columns, map(float, line), strict=False)), "label": labels[int(line[-1])]})
        origins = [Origin(source, number) for number in range(1, len(records) + 1)]
        return Table(records, origins, TableFacts(source, hash_of(records), _LICENCE, kept.citation))


def _content(file: str) -> bytes:
    """Of one of its data files. The package itself is not imported."""
    installed = importlib.util.find_spec("sklearn")
    own = (
        Path(*installed.submodule_search_locations[:1], "datasets", "data", file)
        if installed and installed.submodule_search_locations
        else None
    )
    content = own.read_bytes() if own and own.is_file() else read_member(fetch_package(*_PACKAGE), f"sklearn/datasets/data/{file}")
    return gzip.decompress(content) if file.endswith(".gz") else content
