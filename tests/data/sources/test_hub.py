from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest

from tunesmith.core.errors import DataError, FetchError
from tunesmith.core.types import Labelled
from tunesmith.data import read


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Stands in for the hub: it has one data set, and remembers what it was asked for."""
    calls: list[tuple[Any, ...]] = []
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    made.info.license = "apache-2.0"

    def load_dataset(name: str, config: str | None = None, *, split: str) -> Any:
        calls.append((name, config, split))
        if name == "code/only":
            raise RuntimeError("Dataset scripts are no longer supported, but found only.py")
        if name == "owner/set" or (name, config) == ("glue", "sst2"):
            if split not in ("train", "test"):
                raise ValueError(f'Unknown split "{split}". Should be one of ["train", "test"].')
            return made
        if name == "off/line":
            raise ConnectionError("Couldn't reach 'off/line' on the Hub (LocalEntryNotFoundError)")
        raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub or cannot be accessed.")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, timeout: None)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return calls


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("owner/set", ("owner/set", None, "train")),
        ("owner/set:test", ("owner/set", None, "test")),
        ("owner/set/config:test", ("owner/set", "config", "test")),
        ("glue/sst2", ("glue", "sst2", "train")),
    ],
)
def test_names_configurations_and_splits(source: str, call: tuple[Any, ...], asked: list[tuple[Any, ...]]) -> None:
    dataset = read(source)
    assert asked[-1] == call
    assert dataset.facts.labels == ("neg", "pos")
    assert dataset.facts.licence == "apache-2.0"
    assert [(example.label, example.origin.file) for example in dataset.examples if isinstance(example, Labelled)] == [
        ("pos", source),
        ("neg", source),
    ]


def test_what_the_hub_does_not_give_is_one_line(asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for source, error, said in [
        ("owner/none", FetchError, "doesn't exist on the Hub"),
        ("movie-review", FetchError, 'Did you mean "movie-reviews"'),
        ("off/line", FetchError, "Check the spelling, the network and HF_HUB_OFFLINE"),
        ("code/only", DataError, "needs Python code of its own, which is never run"),
        ("owner/set:dev", DataError, "has no split dev"),
    ]:
        with pytest.raises(error) as caught:
            read(source)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set"):
        read("off/line")


def test_without_a_network_the_library_is_not_let_to_try_again_and_again(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(self: huggingface_hub.HfApi, name: str, timeout: int) -> None:
        raise OSError("[Errno -2] Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(FetchError, match=r"owner/set: .* \(\[Errno -2\] Name or service not known\)"):
        read("owner/set")
    assert asked == []
    (tmp_path / "owner___set").mkdir()  # the library has it from an earlier time
    assert len(read("owner/set").examples) == 2
