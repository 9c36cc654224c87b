"""The native library is used only where it is whole, wanted and right."""

import ctypes
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.model import native
from charlm.model.native import build
from charlm.model.native.library import Kernels, Unavailable, load

pytestmark = pytest.mark.usefixtures("threads")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda library, seal: library.unlink(), "no C compiler"),
        (lambda library, seal: seal.unlink(), "no C compiler"),
        (lambda library, seal: library.write_bytes(library.read_bytes()[:5000]), "damaged"),
        (lambda library, seal: seal.write_text("an older source\n"), "older than its source"),
    ],
)
def test_a_library_that_is_not_whole_is_not_loaded(
    compiled: Path, tmp_path: Path, damage: object, reason: str
) -> None:
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / build.LIBRARY, tmp_path / build.SEAL)  # type: ignore[operator]
    with pytest.raises(Unavailable, match=reason):
        load(tmp_path)


def test_no_compiler_is_a_reason_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build.compile_library(tmp_path) is not None
    monkeypatch.setenv("CC", "false")
    assert build.compile_library(tmp_path) is not None
    assert not list(tmp_path.iterdir())


def test_environment_switches_the_path_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARLM_NATIVE", "0")
    native.attempt.cache_clear()
    try:
        assert native.kernels() is None
        assert native.status() == "torch: CHARLM_NATIVE=0"
        assert native.kernels(native.decoding_agrees) is None
    finally:
        monkeypatch.undo()
        native.attempt.cache_clear()
    assert native.status().startswith(("native, ", "torch: "))


def test_kernels_with_wrong_results_are_not_used(kernels: Kernels) -> None:
    def spoiled(run: Callable[[Any], Any], result: str) -> Callable[[Any], Any]:
        """What ``run`` computes, with zeros at its beginning.  Nothing at all would not do: the
        memory might still hold what was computed there before.
        """

        def run_and_spoil(job: Any) -> Any:
            done = run(job)
            ctypes.memset(getattr(job, result), 0, 16)
            return done

        return run_and_spoil

    wrong = dataclasses.replace(kernels, scan_forward=spoiled(kernels.scan_forward, "hiddens"))
    for test in (native.scans_agree, native.gradients_agree):
        assert test(kernels)
        assert not test(wrong)
    back = spoiled(kernels.scan_backward, "grad_gates")
    assert not native.gradients_agree(dataclasses.replace(kernels, scan_backward=back))
    assert native.decoding_agrees(kernels)
    decode = spoiled(kernels.decode, "logits")
    assert not native.decoding_agrees(dataclasses.replace(kernels, decode=decode))
