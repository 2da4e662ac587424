"""Relative paths of a recipe, made whole, so that its run can be resumed and used from any folder."""

from pathlib import Path

from tunesmith.core.run import find_run
from tunesmith.data import is_template_file
from tunesmith.recipe import Recipe

__all__ = ["anchored"]


def anchored(recipe: Recipe) -> Recipe:
    """The recipe with every source that is a file or folder here, or a run, under its whole path. Aliases and hub ids stay."""
    data = recipe.data.model_copy(update={name: _whole(getattr(recipe.data, name)) for name in ("train", "validation", "test")})
    if data.chat_template is not None and is_template_file(data.chat_template):
        data = data.model_copy(update={"chat_template": _whole(data.chat_template)})
    domains = {name: spec.model_copy(update={"source": _whole(spec.source)}) for name, spec in recipe.evaluate.domains.items()}
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update={"source": _whole(recipe.model.source)}),
            "data": data,
            "evaluate": recipe.evaluate.model_copy(update={"domains": domains}),
        }
    )


def _whole(source: str | None) -> str | None:
    if source is None:
        return None
    if source.startswith("run:"):
        return f"run:{find_run(source).path.resolve()}"
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source
