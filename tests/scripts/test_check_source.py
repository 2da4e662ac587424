"""The checks of the source find what they are for."""

from pathlib import Path

import pytest

from scripts import check_source


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_source, "ROOT", tmp_path)
    (tmp_path / "tunesmith" / "method").mkdir(parents=True)
    return tmp_path


def found(root: Path, name: str, text: str) -> list[str]:
    path = root / "tunesmith" / name
    path.write_text(text, encoding="utf-8")
    return list(check_source.problems(path))


def test_a_long_module_is_found(root: Path) -> None:
    assert found(root, "long.py", "__all__ = []\n" * 399) == []
    assert found(root, "long.py", "__all__ = []\n" * 400)[0].startswith("tunesmith/long.py:1: 400 lines")


def test_a_long_function_is_found(root: Path) -> None:
    text = "__all__ = []\n\ndef f():\n"
    assert found(root, "f.py", text + "    pass\n" * 58) == []
    assert found(root, "f.py", text + "    pass\n" * 59)[0].startswith("tunesmith/f.py:3: f has 60 lines")


def test_a_module_that_does_not_say_what_it_exports_is_found(root: Path) -> None:
    assert found(root, "bare.py", "x = 1\n") == ["tunesmith/bare.py:1: no __all__"]


@pytest.mark.parametrize(
    "line",
    [
        "from tunesmith.method.lora import LoRA",
        "from tunesmith.method import lora",
        "from .lora import LoRA",
        "from . import lora",
        "import tunesmith.method.lora",
    ],
)
def test_a_plug_in_that_imports_another_is_found(root: Path, line: str) -> None:
    (root / "tunesmith" / "method" / "lora.py").write_text("__all__ = []\n", encoding="utf-8")
    (problem,) = found(root, "method/full.py", f"__all__ = []\n{line}\n")
    assert problem.startswith("tunesmith/method/full.py:2: a plug-in imports another, tunesmith.method.lora")


def test_a_plug_in_may_import_what_it_shares(root: Path) -> None:
    (root / "tunesmith" / "method" / "_peft.py").write_text("__all__ = []\n", encoding="utf-8")
    assert found(root, "method/full.py", "__all__ = []\nfrom tunesmith.method._peft import inject\n") == []
