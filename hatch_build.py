"""Build hook: compile the native library where there is a C compiler; never fail without."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileNative(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the library and its seal beside their source, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel (``standard``) or an ``editable`` installation is put together."""
        folder = Path(self.root) / "charlm" / "model" / "native"
        try:
            # Run, not imported: the package needs torch, which is not here at build time.
            build = runpy.run_path(str(folder / "build.py"))
            reason = build["compile_library"](folder)
        except Exception as error:  # whatever it is, the package works without
            reason = f"{type(error).__name__}: {error}"
        if reason is not None:
            self.app.display_warning(f"charlm's native path is left out: {reason}")
            for left in (*folder.glob("*.so"), *folder.glob("*.sha256")):
                left.unlink(missing_ok=True)
            return
        if version == "standard":
            made = ("lstm.so", "lstm.sha256")
            build_data["artifacts"] += [f"charlm/model/native/{name}" for name in made]
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
