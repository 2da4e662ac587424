import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from tests.families import make
from tests.model.tiny import save
from tunesmith.app.models import list_models, pull_model, show_model
from tunesmith.core.events import Event, Progress, Stage


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_list_has_the_embedded_models_and_those_in_the_hubs_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"")
    listed = list_models()
    assert [(model["name"], model["cached"]) for model in listed] == [
        ("minilm-l6", False),
        ("smollm2-135m-instruct", False),
        ("someone/tiny", True),
    ]
    assert listed[0]["licence"] == "MIT"


def test_the_list_imports_no_torch() -> None:
    code = (
        "import sys; from tunesmith.app.models import list_models; list_models(); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_is_shown_by_its_parts_and_by_what_it_takes_to_train_it(tmp_path: Path) -> None:
    model = make("llama")
    shown = show_model(str(save(model, tmp_path / "m")))
    assert shown["parameters"] == sum(shown["parts"].values()) == sum(p.numel() for p in model.parameters())
    assert shown["context_tokens"] == 64
    assert shown["writes_text"]
    full, lora, head = (shown["training"][name] for name in ("full", "lora, r 16", "head, 2 classes"))
    assert full["trainable_parameters"] == shown["parameters"]
    assert head["trainable_parameters"] == 2 * 32 + 2
    assert full["memory_bytes"] > head["memory_bytes"]
    assert lora["gflops_per_token"] <= full["gflops_per_token"]


def test_the_weights_are_not_loaded_to_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(make("bert"), tmp_path / "m")
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    assert not show_model(str(folder))["writes_text"]


def test_a_pulled_model_has_been_loaded_once_and_says_where_it_is(tmp_path: Path) -> None:
    events: list[Event] = []
    folder = save(make("bert"), tmp_path / "m")
    pulled = pull_model(str(folder), progress=events.append)
    assert pulled["folder"] == str(folder)
    assert pulled["architecture"] == "BertModel"
    assert [event.name for event in events if isinstance(event, Stage)] == ["model", "check"]


@pytest.mark.embedded
def test_pulling_reports_how_far_the_download_has_come() -> None:
    events: list[Event] = []
    pull_model("minilm-l6", progress=events.append)
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.done, last.total) == (83_506_384, 83_506_384)
    assert next(model for model in list_models() if model["name"] == "minilm-l6")["cached"]
