"""What a run keeps of its model: what trained, and what it takes to use it."""

import shutil

from tunesmith.app.task import Task
from tunesmith.app.vocabulary import save_tokens
from tunesmith.core.files import staged_folder, write_json
from tunesmith.core.run import RunDirectory
from tunesmith.method._base import base_metadata
from tunesmith.model._quiet import quiet
from tunesmith.model.heads import save_heads

__all__ = ["full_copy_bytes", "save_tuned", "saved_bytes"]


def save_tuned(task: Task, directory: RunDirectory) -> None:
    """Write `adapter/` (parameter-efficient methods) or `model/` (full), and the heads. Nothing where only a head trained.

    The tokenizer goes with a whole model, and with an adapter where the recipe chose its chat template or added tokens.
    """
    trains_whole_model = task.recipe.method.name == "full"
    target = directory.model if trains_whole_model else directory.adapter
    with staged_folder(target, replace=True) as staging, quiet():
        task.method.save(task.model.trunk, staging)
        is_empty = not any(staging.iterdir())
        if trains_whole_model or ((task.recipe.data.chat_template or task.recipe.model.add_tokens) and not is_empty):
            task.model.tokenizer.save_pretrained(str(staging))
        save_tokens(task.model, staging)
    if is_empty:
        shutil.rmtree(target)
    if task.forward.heads:
        on = {} if trains_whole_model else base_metadata(task.model.trunk)  # a whole model needs the weights that it began with no more
        save_heads(dict(task.forward.heads.items()), task.encoder.labels, directory.heads, directory.heads_config, on)
        config = task.model.trunk.config
        label_map = {"id2label": config.id2label, "label2id": config.label2id, "num_labels": len(task.encoder.labels)}  # type: ignore[union-attr]
        write_json(directory.path / "labels.json", label_map)


def saved_bytes(directory: RunDirectory) -> int:
    """Size on disk of what was trained."""
    folders = [f for f in (directory.adapter, directory.model) if f.is_dir()]
    files = [p for folder in folders for p in folder.rglob("*") if p.is_file()] + [f for f in (directory.heads,) if f.is_file()]
    return sum(file.stat().st_size for file in files)


def full_copy_bytes(task: Task) -> int:
    """Size on disk of the base's weights: what a copy of the whole model for each task would take."""
    return sum(file.stat().st_size for file in task.model.source.folder.glob("*.safetensors"))
