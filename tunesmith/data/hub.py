"""Whether the Hugging Face hub can be reached, asked once: the datasets library would ask again for half a minute, and say so each time."""

from pathlib import Path

from tunesmith.core.errors import Interrupted

__all__ = ["why_unreachable"]

_TIMEOUT_SECONDS = 15


def why_unreachable(path: str) -> Exception | None:
    """What stands between this machine and a data set of the hub; None where the hub answers, where it is not to be asked, and where the data set
    is in the library's cache.

    Args:
        path: `owner/name` or `name`, with or without a configuration.
    """
    import datasets
    from huggingface_hub import HfApi, errors

    if datasets.config.HF_HUB_OFFLINE:
        return None
    name = "/".join(path.split("/")[:2])
    try:
        HfApi().dataset_info(name, timeout=_TIMEOUT_SECONDS)
    except (errors.HfHubHTTPError, errors.HFValidationError):
        return None  # it answered: what it says comes again when the data set is loaded
    except Interrupted:
        raise
    except Exception as error:  # each transport fails in its own way
        is_cached = (Path(datasets.config.HF_DATASETS_CACHE) / name.replace("/", "___")).is_dir()
        return None if is_cached else error
    return None
