"""An earlier run: `run:ID`, or its directory. Its whole model, or its base with its adapter."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tunesmith.core.errors import RunError, one_line
from tunesmith.core.files import file_sha256, hash_of
from tunesmith.core.moved import moved
from tunesmith.core.run import RunDirectory, find_run
from tunesmith.model._folder import folder_licence, folder_sha256
from tunesmith.model.source import BESIDE, Alias, Request, SourceInfo, drawn, resolve

__all__ = ["Run"]


_TRAINED = ("adapter_model.safetensors", "new_tokens.safetensors", "new_tokens.json", "selected.safetensors")


@dataclass(frozen=True, kw_only=True)
class Run:
    """`model: run:reviews-20260101-120000`, or the path of a run directory."""

    rank = 30

    def knows(self, source: str) -> bool:
        """`run:` and something, or a folder with a recipe.yaml and no config.json."""
        folder = Path(source).expanduser()
        return source.startswith("run:") or ((folder / "recipe.yaml").is_file() and not (folder / "config.json").exists())

    def aliases(self) -> list[Alias]:
        """None: `tunesmith runs list` shows the runs."""
        return []

    def resolve(self, request: Request) -> SourceInfo:
        """The run's files; its base is resolved as its own recipe says. Raises: RunError, ModelError, FetchError."""
        run = find_run(Path(request.source).expanduser() if not request.source.startswith("run:") else request.source)
        heads = run.heads if run.heads.is_file() else None
        if (run.model / "config.json").is_file():
            return SourceInfo(
                name=request.source,
                kind="run",
                folder=run.model,
                sha256=folder_sha256(run.model),
                licence=folder_licence(run.model),
                origin=f"run {run.path}",
                heads=heads,
                trust_remote_code=bool(_model_spec(run).get("trust_remote_code")),
            )
        has_adapter = any((run.adapter / name).is_file() for name in ("adapter_config.json", "new_tokens.json", "selected.safetensors"))
        if not has_adapter and heads is None and run.context.is_file():
            raise RunError(
                f"{run.path}: trained nothing: its model is {_model_spec(run)['source']}, with a context before each question. Name that model."
            )
        if not has_adapter and heads is None and not run.direct.is_file():
            raise RunError(
                f"{run.path}: the run left no model behind (its status is {run.status}). `tunesmith runs resume {run.path}` goes on with it."
            )
        spec = _model_spec(run)
        beside = {key: spec[key] for key in BESIDE if spec.get(key) is not None}
        source = moved(run, str(spec["source"]))
        base = resolve(Request(source, spec.get("revision"), bool(spec.get("trust_remote_code")), request.progress, beside))
        if spec.get("weights") == "random":
            base = drawn(base, int(_recipe(run).get("seed", 0)))
        adapters = (*base.adapters, run.adapter) if has_adapter else base.adapters
        files = [path for path in (*(run.adapter / name for name in _TRAINED), run.heads) if path.is_file()]
        return replace(
            base,
            name=request.source,
            kind="run",
            sha256=hash_of(base.sha256, *(file_sha256(path) for path in files)),
            origin=f"run {run.path}, on {base.origin}",
            adapters=adapters,
            heads=heads,
            adapters_of=spec.get("quantization") or base.adapters_of,
            notes=(*base.notes, f"tuned from {base.name}"),
        )


def _model_spec(run: RunDirectory) -> dict[str, Any]:
    """`model` of the run's recipe, as a mapping."""
    spec = _recipe(run)["model"]
    return {"source": spec} if isinstance(spec, str) else dict(spec)


def _recipe(run: RunDirectory) -> dict[str, Any]:
    try:
        recipe = dict(yaml.safe_load(run.recipe.read_text(encoding="utf-8")))
        recipe["model"]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.recipe}: cannot be read ({one_line(error)}). The run is damaged.") from None
    return recipe
