"""Plug-ins are described from their source, without being imported, and made on request."""

import sys
from pathlib import Path

import pytest

from tunesmith.core import registry
from tunesmith.core.errors import UsageError

PLUGIN = '''"""Half: train half of the model.

Source: nobody.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["Half"]


@dataclass(frozen=True, kw_only=True)
class Half:
    """Train the upper half."""

    which: Literal["upper", "lower"]
    """Which half."""
    scale: float = -0.5
    """Learning rate of it,
    as a multiple."""
    names: tuple[str, ...] | None = None

    kind: ClassVar[str] = "half"
    mergeable = True

    def __post_init__(self) -> None:
        if self.scale > 1:
            raise ValueError("scale is over 1")
'''


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution with a method, in a package that fails when it is imported."""
    info = tmp_path / "halves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halves\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[tunesmith.methods]\nhalf = halves.deep.half\nnamed = halves.deep.named:Named\ngone = halves.gone\nneedy = halves.deep.needy\n",
        encoding="utf-8",
    )
    package = tmp_path / "halves" / "deep"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("imported = True\n", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "half.py").write_text(PLUGIN, encoding="utf-8")
    (package / "named.py").write_text('"""Named."""\n\n__all__ = ["Named"]\n\n\nclass Named:\n    """Named."""\n', encoding="utf-8")
    (package / "needy.py").write_text(
        '"""Needy."""\n\nimport a_package_that_is_not_there\n\n__all__ = ["Needy"]\n\n\nclass Needy:\n    """Needy."""\n', encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "halves"]:
        monkeypatch.delitem(sys.modules, name)
    return package


def test_names_are_the_files_of_the_folder_without_underscore_files() -> None:
    folder = Path(registry.__file__).parents[1] / "method"
    assert registry.names("method") == sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))
    assert {"full", "head", "lora"} <= set(registry.names("method"))


def test_description_holds_what_the_source_says(third_party: Path) -> None:
    described = registry.describe("method", "half")
    assert (described.kind, described.name, described.title) == ("method", "half", "Half: train half of the model.")
    assert described.doc.endswith("Source: nobody.")
    assert [(o.name, o.annotation, o.default, o.required, o.doc) for o in described.options] == [
        ("which", "Literal['upper', 'lower']", None, True, "Which half."),
        ("scale", "float", -0.5, False, "Learning rate of it, as a multiple."),
        ("names", "tuple[str, ...] | None", None, False, ""),
    ]


def test_describing_imports_nothing(third_party: Path) -> None:
    registry.describe("method", "half")
    assert "half" in registry.names("method")
    assert not [name for name in sys.modules if name.startswith("halves")]


def test_description_follows_a_changed_file(third_party: Path) -> None:
    import os

    assert registry.describe("method", "half").options[1].default == -0.5
    file = third_party / "half.py"
    file.write_text(PLUGIN.replace("-0.5", "0.25"), encoding="utf-8")
    os.utime(file, (2e9, 2e9))
    assert registry.describe("method", "half").options[1].default == 0.25


def test_create_makes_the_class_with_its_options(third_party: Path) -> None:
    made = registry.create("method", "half", which="upper", scale=0.1)
    assert (type(made).__name__, made.which, made.scale, made.names) == ("Half", "upper", 0.1, None)
    assert type(registry.create("method", "named")).__name__ == "Named"


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("lorra", {}, 'lorra: unknown method. Did you mean "lora"? Known: '),
        ("half", {"scal": 1}, 'method half: scal: unknown option. Did you mean "scale"? Known: names, scale, which.'),
        ("half", {}, "method half: which: missing. Which half."),
        ("half", {"which": "upper", "scale": 2}, "method half: scale is over 1"),
        (
            "needy",
            {},
            "method needy: needs the package a_package_that_is_not_there, which is not installed. Install it: pip install a_package_that_is_not_there",
        ),
        (
            "gone",
            {},
            "method gone: the module halves.gone that an installed package names for it is not there. Reinstall or remove that package.",
        ),
    ],
)
def test_mistakes_are_said_in_one_line(third_party: Path, name: str, options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.create("method", name, **options)
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


def test_a_name_that_two_packages_have_is_refused(third_party: Path) -> None:
    points = third_party.parents[1] / "halves-1.0.dist-info" / "entry_points.txt"
    points.write_text("[tunesmith.methods]\nlora = halves.deep.half\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"method lora: tunesmith and the installed package behind halves\.deep\.half both have it"):
        registry.describe("method", "lora")


def test_a_default_that_is_not_written_out_is_a_programmers_mistake(third_party: Path) -> None:
    (third_party / "half.py").write_text(PLUGIN.replace("-0.5", "compute()"), encoding="utf-8")
    with pytest.raises(TypeError, match=r"half\.py:\d+: the default of the option scale must be written out"):
        registry.describe("method", "half")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_plug_in_describes_itself(kind: str) -> None:
    for name in registry.names(kind):
        described = registry.describe(kind, name)
        assert described.title, f"{kind} {name} has no docstring"
        assert all(option.doc for option in described.options), f"{kind} {name}: an option without a docstring"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"url": 1, "sha256": 2}, "url"),
        ({"sha256": 2}, "url"),
        ({"url": 1, "odd": 3}, "url"),
        ({"source": 1}, "parallel"),
        ({"sql": 1, "query": 2, "file": 3}, "sql"),
    ],
)
def test_a_mapping_is_meant_for_the_plug_in_whose_required_options_it_holds(options: dict[str, int], name: str) -> None:
    assert registry.named_by("data_source", options) == name


@pytest.mark.parametrize("options", [{}, {"odd": 1}, {"url": 1, "sql": 2}])
def test_a_mapping_that_could_be_meant_for_none_or_two_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"names no data source\. Known: .*\{url: \.\.\., sha256: \.\.\.\}"):
        registry.named_by("data_source", options)


def test_options_of_no_field_go_into_the_one_that_takes_them() -> None:
    described = registry.describe("method", "peft")
    assert described.others is not None
    assert described.others.name == "options"
    assert [option.name for option in described.options] == ["peft_type"]
    assert described.sorted_out({"peft_type": "LOHA", "r": 4}) == {"peft_type": "LOHA", "options": {"r": 4}}
    assert registry.create("method", "peft", r=4).options == {"r": 4}
