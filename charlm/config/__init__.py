"""Every setting, once: type, default, help and check.

Five frozen sections, ``data``, ``tokenizer``, ``model``, ``training`` and ``generation``, make a
``Config``.  Command-line options, TOML keys, Python keywords and the documentation are all read
from the fields here.  A section checks itself when it is made, and a ``Config`` checks that its
settings go together, so whatever exists is valid.  A setting that a training may decide is None
until it is decided.
"""

from charlm.config.generation import GenerationConfig
from charlm.config.model import ModelConfig
from charlm.config.names import named_values, parse_value, read_toml, tables_of
from charlm.config.rules import Tables, lay_over, merge
from charlm.config.text import BOUNDARY_ID, DataConfig, TokenizerConfig
from charlm.config.training import DEFAULT_MINUTES, TrainConfig
from charlm.config.whole import Config

__all__ = [
    "BOUNDARY_ID",
    "DEFAULT_MINUTES",
    "Config",
    "DataConfig",
    "GenerationConfig",
    "ModelConfig",
    "Tables",
    "TokenizerConfig",
    "TrainConfig",
    "lay_over",
    "merge",
    "named_values",
    "parse_value",
    "read_toml",
    "tables_of",
]
