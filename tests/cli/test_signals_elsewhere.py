"""Signals in every long phase of every command in which there is nothing to save, once and twice.

Each case is a process that is forked from this one, as in ``test_signal_matrix``.
"""

import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
import torch

from charlm import durable
from charlm.storage.run import open_run
from tests.cli.conftest import tree
from tests.cli.signalled import ENDING, TRAIN, at, charlm, send, signalled

pytestmark = signalled

WORDS = "--tokenizer word --vocab-size 60"
ELSEWHERE = {
    "reading": (TRAIN, "charlm.data.preparation.building:part_ends", 1),
    "learning a tokenizer": (f"{TRAIN} {WORDS}", "charlm.data.tokenizers.words:WordTrainer.add", 1),
    "learning pieces": (f"{TRAIN} --tokenizer bpe --vocab-size 300",
                        "charlm.data.tokenizers.subwords:lines", 1),
    "tokenizing": (TRAIN, "charlm.data.preparation.store:PartWriter.add", 1),
    "counting n-grams": (
        "train book.txt --out mine --set model.kind=ngram", "charlm.training.ngrams:model_of", 1,
    ),
    "measuring the machine": (
        "train book.txt --out mine --minutes 1", "charlm.training.launch:decide", 1,
    ),
    "planning": (f"{TRAIN} --dry-run", "charlm.data.preparation.store:PartWriter.add", 1),
    "perplexity": ("perplexity run book.txt", "charlm.inference.predictors.recurrent:Recurrent.nll",
                   1),
    "scoring": ("score run book.txt", "charlm.inference.predictors.recurrent:Recurrent.forward", 2),
    "pairs": ("pairs run pairs.tsv", "charlm.inference.surprisal.pairs:encode", 3),
    "comparing": ("compare run run book.txt",
                  "charlm.inference.comparison.difference:PairedSums.add", 1),
    "rescoring": ("rescore run nbest.txt", "charlm.inference.rescoring.job:possible", 1),
    "compressing": ("compress run book.txt", "charlm.inference.compression.codec:code", 1),
    "decompressing": ("decompress packed.charlm",
                      "charlm.inference.compression.fixed_point:FixedPointNetwork.advance", 5),
    "generating": ("generate run --prompt ba --seed 1 -n 4000",
                   "charlm.inference.generation.lanes:Lanes.sample", 2),
    "measuring speed": ("bench", "charlm.inference.speed:measure", 1),
    "indexing the training text": ("novelty run book.txt", "charlm.data.suffixes.building:sort", 1),
    "looking for copies": ("novelty run book.txt", "charlm.inference.novelty.report:compare", 1),
    "explaining": ("explain run book.txt --npz a.npz", "charlm.explain.activations:expectations",
                   1),
    "measuring memory": ("explain run book.txt --memory --reach 20",
                         "charlm.explain.memory:prediction_changes", 1),
    "finding units": ("explain run book.txt --find word-length", "charlm.explain.search:add_states",
                      1),
    "reporting": ("report run --out a.html", "charlm.explain.run_report:write_sample", 1),
    "measuring a base": ("train book.txt --from run --out mine --batch-size 4 --bptt 8 --steps 40",
                         "charlm.training.transfer.scores:Validation.nll", 1),
    "importing": ("import model.pt --vocab symbols.txt --out mine",
                  "charlm.storage.checkpoints:write_file", 2),
    "exporting a page": ("export run --to html", "charlm.durable:write_bytes", 1),
    "exporting a graph": ("export run --to onnx", "charlm.exchange.exporting:write_companions", 1),
    "downloading": ("corpora fetch tinyshakespeare", "charlm.data.catalogue.download:append", 1),
}  # fmt: skip
"""Phases of commands in which there is nothing to save: the command, the function and its call."""

NEEDED = {
    "compressing": "constriction",
    "indexing the training text": "pydivsufsort",
    "looking for copies": "pydivsufsort",
    "exporting a graph": "onnx",
}
"""Packages that some phases need."""


@pytest.fixture
def inputs(book: Path, run: Path, own_folder: Path) -> Path:
    """Something for every command."""
    Path("pairs.tsv").write_text("ba co lo.\tba co di\n" * 9)
    Path("nbest.txt").write_text("utt1-1 -5.0 ba co\nutt1-2 -5.1 co ba\n")
    Path("text.txt").write_text("ba co lo " * 90)
    cells = {"encoder.weight": (9, 4), "decoder.weight": (9, 6), "decoder.bias": (9,)}
    cells |= {"rnn.weight_ih_l0": (24, 4), "rnn.weight_hh_l0": (24, 6)}
    cells |= {"rnn.bias_ih_l0": (24,), "rnn.bias_hh_l0": (24,)}
    torch.save({name: torch.ones(shape) for name, shape in cells.items()}, "model.pt")
    Path("symbols.txt").write_text("\n".join("abcdefghi"))
    assert charlm("compress run text.txt --out packed.charlm")[0] == 0
    Path("text.txt").unlink()
    return own_folder


@pytest.mark.parametrize("phase", ELSEWHERE)
def test_every_other_phase_ends_at_once_and_leaves_nothing(
    phase: str, inputs: Path, own_cache: Path
) -> None:
    if phase in NEEDED:
        pytest.importorskip(NEEDED[phase])
    command, *point = ELSEWHERE[phase]
    before = tree(inputs)
    numbers = ENDING if phase != "measuring speed" else ENDING[:1]
    for sent in (*((number,) for number in numbers), tuple(ENDING[:2])):
        code, said = charlm(command, partial(at, *point, partial(send, *sent)), echoes=True)
        assert (code, said.strip()[-11:]) == (128 + sent[0], "interrupted"), said
        assert "Traceback" not in said
        if phase == "counting n-grams":  # a run in which nothing was learned yet stays
            assert open_run("mine").blank
            shutil.rmtree("mine")
        assert tree(inputs) == before
        assert not list(own_cache.rglob(f"*{durable.TEMPORARY_MARK}*"))


@pytest.mark.parametrize("phase", ["tokenizing", "importing", "exporting a graph", "downloading"])
def test_a_second_signal_may_leave_what_the_next_command_removes(
    phase: str, inputs: Path, own_cache: Path
) -> None:
    if phase in NEEDED:
        pytest.importorskip(NEEDED[phase])
    command, *point = ELSEWHERE[phase]
    before = tree(inputs)
    code, said = charlm(command, partial(at, *point, partial(send, *ENDING[:2])))
    assert code in [128 + number for number in ENDING[:2]], said
    assert "Traceback" not in said
    assert {name for name in tree(inputs) if durable.TEMPORARY_MARK not in name} == set(before)
    if phase != "downloading":
        assert charlm(command)[0] == 0
        assert not [name for name in tree(inputs) if durable.TEMPORARY_MARK in name]
        assert not list(own_cache.rglob(f"*{durable.TEMPORARY_MARK}*"))


@pytest.mark.parametrize(
    "phase",
    [
        "reading",
        "tokenizing",
        "counting n-grams",
        "perplexity",
        "generating",
        "comparing",
        "looking for copies",
        "explaining",
        "measuring memory",
        "importing",
        "exporting a page",
    ],
)
def test_where_there_is_nothing_to_save_usr2_changes_nothing(phase: str, inputs: Path) -> None:
    if phase in NEEDED:
        pytest.importorskip(NEEDED[phase])
    command, *point = ELSEWHERE[phase]
    code, said = charlm(command, lambda: at(*point, lambda: send(signal.SIGUSR2)))
    assert code == 0, said


@pytest.mark.parametrize("numbers", [*((each,) for each in ENDING), ENDING[:2]], ids=str)
def test_a_server_ends_with_the_number_of_the_signal(
    numbers: tuple[signal.Signals, ...], inputs: Path
) -> None:
    pytest.importorskip("uvicorn")
    tick = "charlm.web.server.listening:StoppedServer.on_tick"

    def prepare() -> None:
        at(tick, 2, partial(send, signal.SIGUSR2))  # which does nothing
        at(tick, 3, partial(send, *numbers))

    code, said = charlm("serve run --port 0", prepare)
    assert code in [128 + number for number in numbers], said
    assert "Traceback" not in said
