"""The C kernels, for every width of registers."""

import platform

import pytest

from tunesmith.engine.kernels import native
from tunesmith.engine.kernels.compiled import Kernels
from tunesmith.engine.kernels.native import kernels

WIDTHS = {"own": (), "256 bits": ("-mno-avx512f",), "128 bits": ("-mno-avx512f", "-mno-avx")}
"""Registers that the code is compiled for, beside those of this machine: what narrower processors get."""


@pytest.fixture(scope="session", params=list(WIDTHS))
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    """The kernels, for one width of registers."""
    if request.param == "own":
        found = kernels()
        assert found is not None
        return found
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these widths are of x86 processors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNESMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(native, "_FLAGS", (*native._FLAGS, *WIDTHS[request.param]))
        found = native._built()
    assert found.lanes == int(request.param.split()[0]) // 32
    return found
