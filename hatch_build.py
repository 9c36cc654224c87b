"""Build hook: compile the native library where there is a C compiler; never fail without."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileNative(BuildHookInterface):  # type: ignore[type-arg]
    """Compile the library beside its source, and put it with its seal into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called before a wheel (``standard``) or an ``editable`` installation is made."""
        folder = Path(self.root) / "charlm" / "model" / "native"
        try:
            # Run the file instead of importing it: the package needs torch, which is missing here.
            build = runpy.run_path(str(folder / "build.py"))
            reason = build["compile_library"](folder)
        except Exception as error:  # whatever went wrong, the package works without
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
