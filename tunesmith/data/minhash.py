"""Texts that are nearly the same, by MinHash and banding: a few hundred bytes a text, whatever its length, and no comparison of all with all.

Two texts are as similar as the share of their shingles (runs of five characters) that they have in common, their Jaccard index. The least value
that a random hash function gives to a text's shingles is the same for two texts with just that probability. Source: Broder (1997), "On the
resemblance and containment of documents"; bands: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = [
    "LEAST_THRESHOLD",
    "NUM_HASHES",
    "SHINGLE_CHARACTERS",
    "MinHash",
    "first_like",
    "jaccard",
    "num_band_rows",
    "shingles",
    "similarity",
]

Array = np.ndarray[Any, np.dtype[Any]]

NUM_HASHES = 256
"""Hash functions of a signature: the similarity that two signatures show has a standard error of at most 0.5 / sqrt(256) = 0.03."""
SHINGLE_CHARACTERS = 5
LEAST_THRESHOLD = 0.3
"""Below this, most texts of a language are like each other, and bands no longer keep them apart."""
_MISSED = 0.01
_BLOCK = 4096

_WEIGHTS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], dtype=np.uint64)
"""Odd numbers without a pattern, one for each character of a shingle."""


def shingles(text: str) -> Array:
    """The distinct shingles of a text, each as a number; case, white space and Unicode's ways to write a letter do not count.

    Returns: sorted, shape (num_shingles,), uint32. A text shorter than a shingle is one.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).casefold().split()).ljust(SHINGLE_CHARACTERS, "\0")
    codes = np.frombuffer(normal.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    count = len(codes) - SHINGLE_CHARACTERS + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for place, weight in enumerate(_WEIGHTS):
        mixed += codes[place : place + count] * weight
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def jaccard(one: str, other: str) -> float:
    """The share of the shingles of two texts that both have, exactly: 1 for the same text, 0 for texts without a shingle in common."""
    first, second = shingles(one), shingles(other)
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)


@dataclass(frozen=True, kw_only=True)
class MinHash:
    """Signatures of texts. Those of two texts can be compared where they were made with the same seed and number of hash functions.

    The hash functions are multiply-and-shift: h(x) = (a x + b mod 2^64) / 2^32, pairwise independent for shingles of 32 bits. Source:
    Dietzfelbinger (1996), "Universal hashing and k-wise independent random variables via integer arithmetic without primes".
    """

    num_hashes: int = NUM_HASHES
    seed: int = 0
    _factors: Array = field(init=False, repr=False, compare=False)
    _terms: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        drawn = np.random.PCG64(self.seed).random_raw(2 * self.num_hashes)  # the raw stream is the same in every version of numpy
        object.__setattr__(self, "_factors", drawn[: self.num_hashes, None] | np.uint64(1))
        object.__setattr__(self, "_terms", drawn[self.num_hashes :, None])

    def signature(self, text: str) -> Array:
        """The least value of each hash function over the text's shingles, its lowest 16 bits: shape (num_hashes,), uint16.

        Sixteen bits are kept as two texts that differ there agree by chance once in 65,536 times. Source: Li and König (2010), "b-bit minwise
        hashing".
        """
        numbers = shingles(text).astype(np.uint64)
        least = np.full(self.num_hashes, np.iinfo(np.uint64).max, dtype=np.uint64)
        for start in range(0, len(numbers), _BLOCK):
            block = (self._factors * numbers[None, start : start + _BLOCK] + self._terms) >> np.uint64(32)
            np.minimum(least, block.min(axis=1), out=least)
        return (least & np.uint64(0xFFFF)).astype(np.uint16)

    def signatures(self, texts: Iterable[str]) -> Array:
        """The signatures of many texts: shape (num_texts, num_hashes), uint16, 512 bytes a text."""
        found = bytearray()
        for text in texts:
            found += self.signature(text).tobytes()
        return np.frombuffer(found, dtype=np.uint16).reshape(-1, self.num_hashes)


def similarity(one: Array, other: Array) -> Any:
    """The estimated Jaccard index of two texts by their signatures; of (n, num_hashes) and (num_hashes,), of each of the n."""
    return (one == other).mean(axis=-1)


def num_band_rows(threshold: float, num_hashes: int = NUM_HASHES) -> int:
    """The most hash values of a band at which a pair of just `threshold` shares no band with a probability of at most 1 %.

    A band of r values is equal with probability threshold^r; of num_hashes / r bands none is with (1 - threshold^r)^(num_hashes // r).
    """
    fitting = [rows for rows in range(1, num_hashes + 1) if (1 - threshold**rows) ** (num_hashes // rows) <= _MISSED]
    return max(fitting, default=1)


def first_like(signatures: Array, threshold: float, *, num_fixed: int = 0) -> Array:
    """For each text the first text before it that it is like, and that stays itself; -1 where there is none, so that it stays.

    Args:
        signatures: shape (num_texts, num_hashes), uint16, in the order of the texts.
        threshold: the similarity from which two texts are alike, from `LEAST_THRESHOLD` to 1; as signatures estimate it.
        num_fixed: so many texts at the beginning stay, whatever they are like.
    Returns: indexes, shape (num_texts,), int64.
    """
    if not LEAST_THRESHOLD <= threshold <= 1:
        raise ValueError(f"threshold: expected {LEAST_THRESHOLD} to 1, found {threshold}")
    num_texts, num_hashes = signatures.shape
    found = np.full(num_texts, -1, dtype=np.int64)
    buckets = _buckets(signatures, num_band_rows(threshold, num_hashes))
    kept: dict[tuple[int, int], list[int]] = defaultdict(list)
    for text in np.flatnonzero((buckets >= 0).any(axis=0)).tolist():
        places = [(band, bucket) for band, bucket in enumerate(buckets[:, text].tolist()) if bucket >= 0]
        if text >= num_fixed:
            candidates = np.array(sorted({earlier for place in places for earlier in kept.get(place, ())}), dtype=np.int64)
            alike = candidates[similarity(signatures[candidates], signatures[text]) >= threshold] if len(candidates) else candidates
            if len(alike):
                found[text] = alike[0]
                continue
        for place in places:
            kept[place].append(text)
    return found


def _buckets(signatures: Array, num_rows: int) -> Array:
    """For each band and text the number of the bucket that it shares with others, -1 where it is alone: shape (num_bands, num_texts), int32."""
    num_texts, num_hashes = signatures.shape
    buckets = np.empty((num_hashes // num_rows, num_texts), dtype=np.int32)
    for band in range(len(buckets)):
        part = np.ascontiguousarray(signatures[:, band * num_rows : (band + 1) * num_rows])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * num_rows))).ravel()
        _, place, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        buckets[band] = np.where(sizes[place] > 1, place, -1)
    return buckets
