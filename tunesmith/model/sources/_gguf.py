"""GGUF to a model folder, through transformers' own reader.

The dequantized numbers are stored as float32: a block's scale and offset are float16, their products with the quantized integers are
not, so a 16-bit file would lose some of what the GGUF file says.
"""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from tunesmith.core.errors import Interrupted, ModelError, TunesmithError, one_line
from tunesmith.core.files import staged_folder, write_json
from tunesmith.model._quiet import quiet

__all__ = ["convert"]


def convert(file: Path, folder: Path) -> str | None:
    """Write the GGUF `file` as config.json, model.safetensors and tokenizer files, where `folder` does not exist yet.

    Returns: the licence that the file states.
    Raises: ModelError, where it is broken or of an architecture that transformers does not read.
    """
    if not folder.exists():
        try:
            with quiet(), contextlib.redirect_stderr(io.StringIO()), staged_folder(folder) as staging:  # its progress bar knows no switch
                _convert(file, staging)
        except FileExistsError:
            pass  # another process was quicker
        except TunesmithError:
            raise
        except Interrupted:
            raise
        except Exception as error:  # a reader of a binary format fails in many ways
            raise ModelError(
                f"{file}: this GGUF file cannot be read ({one_line(error, 200)}). Use the model's safetensors folder."
            ) from error
    try:
        return json.loads((folder / "gguf.json").read_text(encoding="utf-8")).get("licence")  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def _convert(file: Path, folder: Path) -> None:
    import torch
    from gguf import GGUFReader
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    fields = GGUFReader(file).fields
    _check_architecture(file, fields)
    loader: Any = AutoModelForCausalLM
    model, loading = loader.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    config = model.config
    for name in ("quantization_config", "_model_name_or_path"):  # the numbers are plain ones now
        vars(config).pop(name, None)
    config.architectures = [type(model).__name__]
    tied = {name for name in model.all_tied_weights_keys if config.tie_word_embeddings}
    if missing := sorted(set(loading["missing_keys"]) - tied):  # transformers would draw them at random
        raise ModelError(
            f"{file}: its weights lack {missing[0]} ({len(missing)} tensors in all) that a {type(model).__name__} needs. It is another kind of model, or damaged."
        )
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items() if name not in tied}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"  # a model's own class would split texts as the model's makers do, whatever the file says
    write_json(settings, json.loads(settings.read_text(encoding="utf-8")) | {"tokenizer_class": "TokenizersBackend"})
    about = {name: fields[f"general.{name}"].contents() for name in ("name", "license", "organization") if f"general.{name}" in fields}
    write_json(folder / "gguf.json", {"file": file.name, "licence": about.get("license"), **about})


def _check_architecture(file: Path, fields: dict[str, Any]) -> None:
    """Raises: ModelError, where the file's model is no language model that transformers builds from GGUF."""
    from transformers import __version__
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    known = sorted(set(GGUF_SUPPORTED_ARCHITECTURES) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
    found = fields["general.architecture"].contents() if "general.architecture" in fields else None
    if _spelled_plainly(str(found)) not in map(_spelled_plainly, known):
        raise ModelError(
            f"{file}: holds a model of the architecture {found}, which transformers {__version__} does not read from GGUF. "
            f"Known: {', '.join(known)}. Use the model's safetensors folder."
        )


def _spelled_plainly(architecture: str) -> str:
    """transformers writes qwen2_moe and gpt_oss where files have qwen2moe and gpt-oss."""
    return architecture.replace("_", "").replace("-", "")
