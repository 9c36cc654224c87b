"""Writing sessions for tests."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.predictors.decoder import open_decoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent
from tests.inference.toys import model_for, trained


@cache
def parts(kind: str) -> tuple[Recurrent, Any]:
    tokenizer = trained(kind)
    return model_for(tokenizer), tokenizer


def session(kind: str, text: str = "", **how: Any) -> WritingSession:
    model, tokenizer = parts(kind)
    return WritingSession(model, tokenizer, text=text, **{"seed": 1, **how})


def fresh_log_probs(of: WritingSession, model: Predictor) -> Tensor:
    decoder = open_decoder(model)
    return decoder.advance(torch.tensor([[0, *map(int, of.tokenizer.encode(of.text))]]))[0]
