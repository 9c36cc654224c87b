"""What torch records of a model computes what the model computes, for tokens it was not given."""

import pytest
import torch

from charlm.config import ModelConfig
from charlm.model.language_model import LanguageModel

TOKENS = torch.arange(2 * 12).reshape(2, 12) % 20
OTHERS = TOKENS.flip(1).repeat(2, 1)


def make_model(**settings: object) -> LanguageModel:
    """Two layers large enough for the native path and for what it does with few tokens."""
    config = ModelConfig(num_layers=2, hidden_size=130, embedding_size=5, dropout=0.0, **settings)
    return LanguageModel.create(config, 20, seed=1).eval()


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("settings", [{}, {"cell": "gru"}, {"mogrifier_rounds": 2}])
def test_a_trace_gives_the_logits_of_the_model(settings: dict[str, object]) -> None:
    model = make_model(**settings)
    traced = torch.jit.trace(model, (TOKENS,), check_trace=False)
    with torch.no_grad():
        torch.testing.assert_close(traced(OTHERS)[0], model(OTHERS)[0], rtol=1e-4, atol=1e-5)


def test_an_export_gives_the_logits_of_the_model() -> None:
    model = make_model()
    lanes = {"tokens": {0: torch.export.Dim.DYNAMIC}}
    exported = torch.export.export(model, (TOKENS,), dynamic_shapes=lanes).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(OTHERS)[0], model(OTHERS)[0], rtol=1e-4, atol=1e-5)
