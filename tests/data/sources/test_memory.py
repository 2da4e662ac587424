import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.types import Labelled
from tunesmith.data import read


def test_a_data_frame_with_missing_labels_names_the_row() -> None:
    pd = pytest.importorskip("pandas")
    dataset = read(pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}))
    assert [(example.label, example.origin.row) for example in dataset.examples if isinstance(example, Labelled)] == [("0", 1), ("1", 2)]
    with pytest.raises(DataError, match='DataFrame:2: the column "label" is empty'):
        read(pd.DataFrame({"text": ["a", "b"], "label": [0.0, None]}))


def test_a_datasets_dataset_brings_the_names_of_its_classes() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    dataset = read(made)
    assert dataset.facts.labels == ("neg", "pos")
    assert [example.label for example in dataset.examples if isinstance(example, Labelled)] == ["pos", "neg"]
    with pytest.raises(DataError, match=r"DatasetDict: holds several sets \(train\). Pass one of them, for example data\['train'\]"):
        read(datasets.DatasetDict({"train": made}))


def test_other_objects_are_refused() -> None:
    with pytest.raises(DataError, match="data: found int, expected"):
        read(3)
    with pytest.raises(DataError, match="list, item 2: found str, expected a dict"):
        read([{"text": "a"}, "b"])
    with pytest.raises(DataError, match="list: holds no rows"):
        read([])
