"""scikit-learn's tables are read as it reads them itself, whether its package is installed or fetched."""

import zipfile
from pathlib import Path

import pytest
from sklearn import datasets

from tunesmith.core.errors import FetchError
from tunesmith.data.sources import sklearn
from tunesmith.data.sources.sklearn import Sklearn
from tunesmith.data.table import Table


def _read(name: str) -> Table:
    return Sklearn().read(name)


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast-cancer"])
def test_a_table_is_what_scikit_learn_makes_of_it(name: str) -> None:
    found, expected = _read(name), getattr(datasets, f"load_{name.replace('-', '_')}")()
    columns = [str(column).replace(" (cm)", "").replace(" ", "_") for column in expected.feature_names]
    assert [list(record) for record in found.records] == [[*columns, "label"]] * len(expected.data)
    assert [[record[column] for column in columns] for record in found.records] == expected.data.tolist()
    assert [record["label"] for record in found.records] == [str(expected.target_names[target]) for target in expected.target]
    assert [origin.row for origin in found.origins] == list(range(1, len(expected.data) + 1))


def _without_package(monkeypatch: pytest.MonkeyPatch, package: Path, text: str) -> None:
    """scikit-learn is not installed, and what is fetched holds irises of this text."""
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("sklearn/datasets/data/iris.csv", text)
    monkeypatch.setattr(sklearn.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sklearn, "fetch_package", lambda *pinned: package)


def test_without_the_package_its_archive_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _without_package(monkeypatch, tmp_path / "package.whl", "2,4,setosa,versicolor\n5.1,3.5,1.4,0.2,0\n6,3,4.5,1.5,1\n")
    assert [list(record.values()) for record in _read("iris").records] == [[5.1, 3.5, 1.4, 0.2, "setosa"], [6, 3, 4.5, 1.5, "versicolor"]]


def test_a_line_of_other_fields_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _without_package(monkeypatch, tmp_path / "package.whl", "1,4,setosa\n5.1,3.5,1.4\n")
    with pytest.raises(FetchError, match=r"iris\.csv: a line of 3 fields, expected 5\."):
        _read("iris")
