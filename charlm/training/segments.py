"""The segments that a training reads: of its text alone, or with another text in some lanes."""

import torch

from charlm.config import TrainConfig
from charlm.data.batches import MixedSegments, Segments
from charlm.data.preparation.store import TokenStore
from charlm.model.devices import corpus_device

__all__ = ["segments_of"]


def segments_of(
    train: TokenStore, kept: TokenStore | None, config: TrainConfig, device: torch.device
) -> Segments | MixedSegments:
    """The segments of the text, and in ``keep_share`` of the lanes those of the text ``kept``.

    Each text has one lane at least.
    """

    def segments(store: TokenStore, lanes: int) -> Segments:
        return Segments(
            store.tokens, lanes, config.bptt, config.seed, config.state_reset, config.random_bptt,
            corpus_device(store.tokens.nbytes, device),
        )  # fmt: skip

    if kept is None:
        return segments(train, config.batch_size)
    lanes = max(1, config.batch_size - max(1, round(config.keep_share * config.batch_size)))
    new = segments(train, lanes)
    # A short text may have got fewer lanes than its share.
    others = round(new.batch_size * config.keep_share / (1 - config.keep_share))
    return MixedSegments(new, segments(kept, max(1, others)))
