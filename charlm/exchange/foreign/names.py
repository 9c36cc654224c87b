"""The names that a foreign pickle may contain.  None is ever looked up: they stay names."""

import re

from charlm.errors import ModelError

__all__ = ["allowed", "refused"]

FUNCTIONS = {
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch.nn.backends.thnn _get_thnn_function_backend",
    "torch.nn.utils.rnn PackedSequence",
    "torch Size",
    "torch device",
    "collections OrderedDict",
    "collections defaultdict",
    "copy_reg _reconstructor",
    "copyreg _reconstructor",
    "__builtin__ object",
    "builtins object",
    "__builtin__ set",
    "builtins set",
    "__builtin__ dict",
    "builtins dict",
    "__builtin__ getattr",  # AWD-LSTM's WeightDrop keeps a method; as a record it does nothing
    "builtins getattr",
}
"""Functions and classes that a model's pickle names beside its layers."""

HARMLESS = re.compile(
    r"torch \w+(Storage|Tensor)|torch\.storage \w+Storage"
    r"|torch\.nn\.(modules\.\w+|backends\.\w+|parameter|_functions\.\w+) \w+"
    r"|torch\.optim\.\w+ \w+|torch (float|bfloat|int|uint|complex)\d+|torch bool"
)
"""Classes of torch; like all names here they only become names of records."""

LAYERS = re.compile(
    r"[\w.]+ (RNNModel|RNN|CharRNN|LSTM\w*|GRU\w*|Model|\w*LanguageModel|WeightDrop\w*"
    r"|LockedDropout|VariationalDropout|EmbeddingDropout|SplitCrossEntropyLoss|Dictionary|Corpus)"
)
"""Classes of other tools' modules, under whatever module name they were defined."""


def allowed(name: str) -> str:
    """The name of a function or class, "module name".  Raises ``ModelError`` if it is not listed.

    Being listed only lets the file be read: no function of that name is looked up.
    """
    if name in FUNCTIONS:
        return name
    if HARMLESS.fullmatch(name) or LAYERS.fullmatch(name):
        return name
    module, _, attribute = name.partition(" ")
    raise refused(f"it names {module}.{attribute}, which no language model needs")


def refused(why: str) -> ModelError:
    """The error for a pickle that is not read."""
    return ModelError(
        f"the pickle is refused: {why}",
        "save the weights alone, for example as .safetensors or .npz, and import those",
    )
