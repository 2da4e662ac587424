"""How a model behind an endpoint is written, wherever a model can be named: `openai:NAME@URL`."""

__all__ = ["ENDPOINT_PREFIX", "is_endpoint"]

ENDPOINT_PREFIX = "openai:"


def is_endpoint(model: str) -> bool:
    """Whether a model is named that is behind an endpoint, and not on this machine."""
    return model.startswith(ENDPOINT_PREFIX)
