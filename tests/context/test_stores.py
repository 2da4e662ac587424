"""What every store of passages promises."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunesmith.core import registry
from tunesmith.core.passages import Array, Hit, Passage, PassageStore


@pytest.fixture(params=registry.names("store"))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PassageStore:
    made: PassageStore = registry.create("store", request.param, folder=str(tmp_path / "passages"))
    return made


def unit(*rows: list[float]) -> Array:
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def passage(document: str, start: int, text: str) -> Passage:
    return Passage(document, start, start + len(text), ("Guide", "It's"), text)


CAT, DOG, BIRD = (
    passage("a.md", 0, "the cat sat on the mat"),
    passage("a.md", 30, "dogs running fast"),
    passage("o'hara.md", 0, "a naïve bird"),
)
FISH = passage("a.md", 5, "a fish swam")
HASHES = {"a.md": "1", "o'hara.md": "2"}


def texts(hits: list[Hit]) -> list[str]:
    return [hit.passage.text for hit in hits]


def filled(store: PassageStore) -> PassageStore:
    store.put([CAT, DOG, BIRD], unit([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]), HASHES)
    store.tidy()
    return store


def test_an_empty_one_says_so(store: PassageStore) -> None:
    assert isinstance(store, PassageStore)
    assert (len(store), dict(store.documents())) == (0, {})
    assert store.nearest(unit([1, 0, 0, 0])[0], 3) == store.matching("cat", 3) == store.passages("a.md") == []
    store.remove(["a.md"])
    store.tidy()


def test_the_nearest_come_first_with_their_cosine(store: PassageStore) -> None:
    hits = filled(store).nearest(unit([1, 0.5, 0, 0])[0], 2)
    assert [hit.passage for hit in hits] == [BIRD, CAT]
    assert [hit.score for hit in hits] == pytest.approx([1.5 / np.sqrt(2.5), 1 / np.sqrt(1.25)], abs=1e-6)


def test_equal_ones_come_by_document_and_place(store: PassageStore) -> None:
    alike = [passage(f"{number:03}.md", start, "the cat") for number in reversed(range(150)) for start in (20, 0)]
    store.put(alike, unit(*[[1, 0, 0, 0]] * 300), {f"{number:03}.md": "1" for number in range(150)})
    for hits in (store.matching("cat", 5), store.nearest(unit([1, 0, 0, 0])[0], 5)):
        places = [(hit.passage.document, hit.passage.start) for hit in hits]
        assert places == [("000.md", 0), ("000.md", 20), ("001.md", 0), ("001.md", 20), ("002.md", 0)]


def many(count: int, seed: int = 0) -> tuple[list[Passage], Array]:
    """Passages, four a document, and a vector of each that no other has."""
    drawn = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    made = [passage(f"{number // 4:03}.md", number % 4 * 50, f"the cat number {number}") for number in range(count)]
    return made, drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_the_nearest_are_those_of_all_at_once_and_after_tidying(store: PassageStore) -> None:
    held = dict(zip(*(list(part) for part in many(400)), strict=True))

    def assert_exact() -> None:
        vectors = np.stack(list(held.values()))
        for asked in many(5, seed=1)[1]:
            best = sorted(zip((vectors @ asked).tolist(), held, strict=True), key=lambda pair: -pair[0])[:10]
            found = store.nearest(asked, 10)
            assert [hit.passage for hit in found] == [one for _, one in best]
            assert [hit.score for hit in found] == pytest.approx([score for score, _ in best], abs=1e-6)

    store.put(list(held), np.stack(list(held.values())), {one.document: "1" for one in held})
    assert_exact()
    new, vectors = (part[:60] for part in many(400, seed=2))
    held = {one: vector for one, vector in held.items() if one.document not in {other.document for other in new}}
    held |= dict(zip(new, vectors, strict=True))
    store.put(new, vectors, {one.document: "2" for one in new})
    assert_exact()
    store.remove(["020.md", "099.md"])
    held = {one: vector for one, vector in held.items() if one.document not in ("020.md", "099.md")}
    assert_exact()
    store.tidy()
    assert_exact()


def test_words_are_found_in_other_forms_and_signs_are_no_commands(store: PassageStore) -> None:
    filled(store)
    assert texts(store.matching("a dog that runs", 5))[0] == DOG.text
    assert texts(store.matching("NAIVE", 5)) == [BIRD.text]
    assert store.matching("elephant", 5) == store.matching(" ", 5) == []
    assert texts(store.matching("cat) OR (\"*' AND -", 5)) == [CAT.text]


def test_a_document_that_is_put_again_stands_in_place_of_what_it_was(store: PassageStore) -> None:
    filled(store)
    store.put([FISH], unit([0, 0, 1, 0]), {"a.md": "3"})
    assert (len(store), dict(store.documents())) == (2, {"a.md": "3", "o'hara.md": "2"})
    assert store.matching("cat dogs", 5) == []
    assert [hit.passage for hit in store.matching("fish", 5)] == [FISH]


def test_a_documents_passages_come_in_their_order(store: PassageStore) -> None:
    store.put([DOG, CAT, BIRD], unit([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]), HASHES)
    assert store.passages("a.md") == [CAT, DOG]
    assert store.passages("o'hara.md") == [BIRD]
    assert store.passages("b.md") == []


def test_what_is_removed_is_gone_from_the_files(store: PassageStore, tmp_path: Path) -> None:
    filled(store)
    assert holding(tmp_path, "naïve bird")
    store.remove(["o'hara.md", "b.md"])
    assert (len(store), dict(store.documents())) == (2, {"a.md": "1"})
    assert store.matching("bird", 5) == []
    store.tidy()
    assert not holding(tmp_path, "naïve bird")


def test_what_little_is_removed_or_replaced_of_much_is_gone_from_the_files(store: PassageStore, tmp_path: Path) -> None:
    passages, vectors = many(400)
    store.put(passages, vectors, {one.document: "1" for one in passages})
    store.tidy()
    assert holding(tmp_path, vectors[30].tobytes())
    store.remove(["007.md"])
    store.tidy()
    assert not holding(tmp_path, vectors[30].tobytes())
    store.put(passages[40:44], -vectors[40:44], {"010.md": "2"})
    store.tidy()
    assert not holding(tmp_path, vectors[42].tobytes())
    assert holding(tmp_path, vectors[50].tobytes())
    assert len(store) == 396


def holding(folder: Path, content: str | bytes) -> list[Path]:
    wanted = content.encode() if isinstance(content, str) else content
    return [path for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]


def test_what_was_put_is_there_for_whoever_opens_it(store: PassageStore, tmp_path: Path) -> None:
    name = next(name for name in registry.names("store") if isinstance(store, registry.load("store", name)))
    other: PassageStore = registry.create("store", name, folder=str(tmp_path / "passages"))
    assert len(other) == 0
    filled(store)
    assert texts(other.matching("cat", 1)) == texts(other.nearest(unit([1, 0, 0, 0])[0], 1)) == [CAT.text]
    (tmp_path / "passages").rename(tmp_path / "put aside")
    anew: PassageStore = registry.create("store", name, folder=str(tmp_path / "passages"))
    anew.put([FISH], unit([0, 0, 1, 0]), {"a.md": "1"})
    anew.tidy()
    assert texts(other.matching("fish cat", 1)) == texts(other.nearest(unit([1, 0, 0, 0])[0], 1)) == [FISH.text]


def test_a_document_without_passages_is_forgotten(store: PassageStore) -> None:
    filled(store)
    store.put([BIRD], unit([0, 0, 0, 1]), {"o'hara.md": "4"})
    store.put([], np.zeros((0, 4), np.float32), {"a.md": "5"})
    assert dict(store.documents()) == {"o'hara.md": "4"}


def test_what_is_put_first_may_be_nothing(store: PassageStore) -> None:
    store.put([], np.zeros((0, 4), np.float32), {"a.md": "1"})
    assert len(store) == 0
    assert texts(filled(store).matching("cat", 1)) == [CAT.text]


def test_several_write_and_read_at_once(store: PassageStore) -> None:
    filled(store)
    failed = list[BaseException]()

    def write(name: str) -> None:
        for number in range(6):
            store.put([passage(f"{name}.md", 0, f"the cat {number}")], unit([1, 0, 0, 0]), {f"{name}.md": str(number)})
            store.tidy()

    def read(_: str) -> None:
        for _ in range(20):
            assert store.matching("dog", 1)
            assert store.nearest(unit([1, 0, 0, 0])[0], 1)

    def guarded(work: Callable[[str], None], name: str) -> None:
        try:
            work(name)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work, name)) for work, name in ((write, "x"), (write, "y"), (read, ""))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(store) == 5
