"""Near duplicates: similarities by hand, and what banding finds against comparing all with all."""

import numpy as np
import pytest

from tunesmith.data.minhash import MinHash, first_like, jaccard, num_band_rows, shingles, similarity


def words(count: int, seed: int) -> str:
    return " ".join(f"w{number}" for number in np.random.default_rng(seed).integers(0, 5000, count))


def test_the_shingles_of_a_text_are_its_runs_of_five_characters() -> None:
    assert len(shingles("abcdefg")) == 3  # abcde, bcdef, cdefg
    assert len(shingles("aaaaaaaaaa")) == 1
    assert len(shingles("ab")) == 1
    assert len(shingles("")) == 1


def test_jaccard_by_hand() -> None:
    assert jaccard("abcdef", "bcdefg") == pytest.approx(1 / 3)  # {abcde, bcdef} and {bcdef, cdefg}
    assert jaccard("abcdef", "abcdef") == 1
    assert jaccard("abcdef", "uvwxyz") == 0


def test_case_white_space_and_the_spelling_of_accents_do_not_count() -> None:
    assert jaccard("Caf\u00e9  au\nlait", "cafe\u0301 au LAIT") == 1


def test_a_signature_is_the_same_on_every_machine() -> None:
    """The first values worked out with Python's own integers, from PCG64's published stream."""
    drawn = [int(number) for number in np.random.PCG64(0).random_raw(512)]
    numbers = [int(number) for number in shingles("a film that is good")]
    least = [min((((drawn[i] | 1) * x + drawn[256 + i]) % 2**64) >> 32 for x in numbers) & 0xFFFF for i in range(3)]
    assert MinHash().signature("a film that is good")[:3].tolist() == least


def test_signatures_estimate_the_jaccard_index_within_their_standard_error() -> None:
    hashes, base = MinHash(), words(200, 0)
    for changed in (5, 20, 60):
        other = " ".join([*base.split()[:-changed], *words(changed, changed).split()])
        assert similarity(hashes.signature(base), hashes.signature(other)) == pytest.approx(jaccard(base, other), abs=4 * 0.5 / 256**0.5)


def test_a_long_text_is_hashed_in_blocks_to_the_same_signature() -> None:
    text = words(5000, 3)
    numbers = shingles(text).astype(np.uint64)
    assert len(numbers) > 2 * 4096
    hashes = MinHash()
    whole = ((hashes._factors * numbers[None, :] + hashes._terms) >> np.uint64(32)).min(axis=1) & np.uint64(0xFFFF)
    assert (hashes.signature(text) == whole).all()


def test_bands_miss_one_in_a_hundred_at_the_threshold() -> None:
    """At 0.8: eight values a band, (1 - 0.8^8)^32 = 0.003; nine would miss (1 - 0.8^9)^28 = 0.02."""
    assert (1 - 0.8**8) ** 32 < 0.01 < (1 - 0.8**9) ** 28
    assert num_band_rows(0.8) == 8
    assert num_band_rows(1.0) == 256
    assert num_band_rows(0.3) == 2


def test_banding_finds_what_comparing_all_with_all_finds() -> None:
    texts = list[str]()
    for number in range(60):
        base = words(60, number).split()
        texts += [" ".join(base), " ".join([*base[:-2], "other", "end"]), " ".join(base[:30] + words(30, 1000 + number).split())]
    signatures = MinHash().signatures(texts)
    wanted = list[int]()
    for at in range(len(texts)):
        alike = [b for b in range(at) if wanted[b] < 0 and similarity(signatures[b], signatures[at]) >= 0.8]
        wanted.append(alike[0] if alike else -1)
    assert sum(place >= 0 for place in wanted) >= 50
    assert first_like(signatures, 0.8).tolist() == wanted


def test_the_first_of_a_group_stays_and_the_fixed_ones_always() -> None:
    texts = ["the same long sentence about a film", "another thing altogether, of no likeness", "the same long sentence about a film!"]
    signatures = MinHash().signatures([*texts, texts[0]])
    assert first_like(signatures, 0.8).tolist() == [-1, -1, 0, 0]
    assert first_like(signatures, 0.8, num_fixed=3).tolist() == [-1, -1, -1, 0]


def test_no_text_has_no_likeness() -> None:
    assert first_like(MinHash().signatures([]), 0.8).tolist() == []


def test_a_threshold_that_bands_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold: expected 0\.3 to 1, found 0\.1"):
        first_like(MinHash().signatures(["a"]), 0.1)
