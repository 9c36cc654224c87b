"""Where downloads, spooled input and prepared tokens are kept."""

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``$CHARLM_CACHE``, or else the user's cache folder.  It need not exist yet."""
    return Path(os.environ.get("CHARLM_CACHE") or platformdirs.user_cache_dir("charlm"))
