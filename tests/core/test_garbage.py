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


def test_what_was_imported_is_never_searched() -> None:
    with never_collected():
        kept = [{"imported": index} for index in range(50)]
    try:
        assert not any(found is kept for found in gc.get_objects())
    finally:
        gc.unfreeze()
