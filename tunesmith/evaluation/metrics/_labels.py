"""Labels as numbers, so that a row's contribution to a metric of labels is two floats."""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["NO_LABEL", "class_counts", "label_code"]

NO_LABEL = -1.0
"""The code of an answer that names no label: less than any other."""


@lru_cache(maxsize=65536)
def label_code(label: str) -> float:
    """A whole number below 2**52 that stands for `label`, the same in every process; float64 holds it exactly.

    It is a hash: 1,000 labels share a code with probability 1e-10. Of no label, an empty text, `NO_LABEL`.
    """
    if not label:
        return NO_LABEL
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).digest()
    return float(int.from_bytes(digest[:8], "big") >> 12)


def class_counts(codes_n2: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How often each class is right, is true, and is predicted; shape (3, classes), over the classes that occur either way; no label, where it occurs, is the first.

    Args:
        codes_n2: codes of the true and of the predicted label, shape (rows, 2).
    """
    classes, index = np.unique(codes_n2, return_inverse=True)
    true, predicted = index.reshape(codes_n2.shape).T
    size = len(classes)
    counts = [np.bincount(rows, minlength=size) for rows in (true[true == predicted], true, predicted)]
    return np.array(counts, dtype=np.float64)
