"""Every setting, once: type, default, help and check.

Four frozen sections, ``data``, ``tokenizer``, ``model`` and ``training``, make a ``Config``.
Command-line options, TOML keys and the documentation are all read from the fields here.
A section checks itself when it is made, so a section that exists is valid.
"""

from charlm.config.generation import GenerationConfig
from charlm.config.model import ModelConfig
from charlm.config.text import BOUNDARY_ID, DataConfig, TokenizerConfig
from charlm.config.training import DEFAULT_MINUTES, TrainConfig
from charlm.config.whole import Config, merge, parse_assignment, parse_value, read_toml

__all__ = [
    "BOUNDARY_ID",
    "DEFAULT_MINUTES",
    "Config",
    "DataConfig",
    "GenerationConfig",
    "ModelConfig",
    "TokenizerConfig",
    "TrainConfig",
    "merge",
    "parse_assignment",
    "parse_value",
    "read_toml",
]
