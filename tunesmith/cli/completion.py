"""What the shell offers after a Tab."""

from __future__ import annotations

__all__ = ["recipes", "runs"]


def recipes(incomplete: str) -> list[str]:
    """Names of shipped recipes; where none begins so, the shell goes on to files."""
    from tunesmith.recipe import shipped_chains, shipped_recipes

    return [name for name in (*shipped_recipes(), *shipped_chains()) if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Ids of the runs and groups in `runs/`, newest first."""
    from tunesmith.core.run import list_groups, list_runs

    return [run.id for run in (*reversed(list_groups()), *reversed(list_runs())) if run.id.startswith(incomplete)]
