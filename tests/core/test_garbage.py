"""Garbage is looked for as before, once a block is over that puts it off."""

import gc

import pytest

from tunesmith.core.garbage import collected_later, never_collected


@pytest.mark.parametrize("block", [collected_later, never_collected])
def test_no_search_inside_the_block_and_as_before_after_it_even_where_it_fails(block) -> None:
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), block():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collected_later():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(("objects_before", "is_searched"), [(50_000, False), (200_000, True)])
def test_what_was_imported_is_never_searched_unless_the_process_holds_much_already(monkeypatch, objects_before, is_searched) -> None:
    kept: list[list[object]] = []
    found = gc.get_objects
    monkeypatch.setattr(gc, "get_objects", lambda: [None] * objects_before)
    with never_collected():
        kept.append([object()])
    try:
        assert any(one is kept[0] for one in found()) is is_searched
    finally:
        gc.unfreeze()
