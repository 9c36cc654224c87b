"""Models of other tools keep their likelihood when they become runs."""

import errno
import json
import os
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import nn

import charlm
from charlm.cli.main import cli
from charlm.errors import CharlmError, CheckpointError, ConfigError, CorpusError, ModelError
from charlm.exchange.importing import import_model
from tests.exchange import definitions
from tests.exchange.definitions import AWDModel, CharRNN, RNNModel, mean_nll

WORDS = ["<unk>", "<eos>", *string.ascii_lowercase[:20].replace("", " ").split(), "the", "king"]
KNOWN = 1.306938


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A vocabulary of words, one a line."""
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return path


def write_text(folder: Path, length: int = 300) -> tuple[Path, list[int]]:
    """A random text of the vocabulary with line breaks and unknown words, and its foreign ids."""
    ids = np.random.default_rng(1).integers(0, len(WORDS), length).tolist()
    spelled = {"<eos>": "\n", "<unk>": "stranger"}
    path = folder / "text.txt"
    path.write_text(" ".join(spelled.get(WORDS[id], WORDS[id]) for id in ids))
    return path, ids


def randomised(model: nn.Module) -> nn.Module:
    """Large weights, so that a gate or a bias in the wrong place changes the likelihood."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


MODELS = {
    "lstm": lambda: RNNModel("LSTM", len(WORDS), 7, 12, 2, False),
    "gru": lambda: RNNModel("GRU", len(WORDS), 7, 12, 2, False),
    "rnn": lambda: RNNModel("RNN", len(WORDS), 7, 12, 1, False),
    "tied": lambda: RNNModel("LSTM", len(WORDS), 12, 12, 1, True),
}


@pytest.mark.parametrize("way", ["zip", "legacy", "state dict", "safetensors"])
@pytest.mark.parametrize("name", list(MODELS))
def test_a_module_keeps_its_likelihood(name: str, way: str, tmp_path: Path, words: Path) -> None:
    model = randomised(MODELS[name]())
    text, ids = write_text(tmp_path)
    file = tmp_path / ("model.safetensors" if way == "safetensors" else "model.pt")
    if way == "safetensors":
        state = {key: value.clone() for key, value in model.state_dict().items()}
        safetensors.torch.save_file(state, file)
    else:
        whole = model.state_dict() if way == "state dict" else model
        torch.save(whole, file, _use_new_zipfile_serialization=way != "legacy")
    expected = mean_nll(model, ids)
    done = import_model(file, tmp_path / "run", vocab=words, on=text, expect=expected)
    assert done.nll == pytest.approx(expected, abs=1e-5)
    assert done.unknown == ids[1:].count(0)
    loaded = charlm.load(tmp_path / "run")
    assert loaded.config.model.tie_weights == (name == "tied")
    assert loaded.score(text).tokens == len(ids)
    assert "stranger" not in loaded.generate("the king", length=20, seed=1)


def test_awd_lstm_keeps_its_likelihood(tmp_path: Path, words: Path) -> None:
    model = randomised(AWDModel(len(WORDS), 6, 10))
    text, ids = write_text(tmp_path)
    definitions.RNNModel, kept = AWDModel, RNNModel  # pickle finds a class by its name
    try:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        torch.save([model, nn.CrossEntropyLoss(), optimizer], tmp_path / "awd.pt")
    finally:
        definitions.RNNModel = kept
    expected = mean_nll(model, ids)
    done = import_model(tmp_path / "awd.pt", tmp_path / "run", vocab=words, on=text)
    assert done.nll == pytest.approx(expected, abs=1e-5)
    assert done.sizes == (10, 10, 6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_char_rnn_keeps_its_likelihood(kind: str, tmp_path: Path) -> None:
    model = randomised(CharRNN(len(string.printable), 9, kind, 2))
    torch.save(model, tmp_path / "char.pt")
    ids = np.random.default_rng(2).integers(0, 95, 200).tolist()
    (tmp_path / "text.txt").write_text("".join(string.printable[id] for id in ids))
    done = import_model(
        tmp_path / "char.pt", tmp_path / "run", vocab="printable", on=tmp_path / "text.txt"
    )
    assert done.nll == pytest.approx(mean_nll(model, ids), abs=1e-5)


def test_the_reference_lstm_is_imported_by_the_command(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "reference-lstm"
    known = json.loads((folder / "vocab.json").read_text()) | {"u": 13, "U": 40}
    known = {symbol: id for symbol, id in known.items() if len(symbol) == 1}  # it lost two keys
    (tmp_path / "vocab.json").write_text(json.dumps(known))
    text = (shared_data / "tinyshakespeare.txt").read_text(encoding="utf-8")[:100_001]
    (tmp_path / "text.txt").write_text(text)
    arguments = ["import", str(folder), "--vocab", str(tmp_path / "vocab.json"), "--json"]
    arguments += ["--out", str(tmp_path / "run"), "--on", str(tmp_path / "text.txt")]
    result = CliRunner().invoke(cli, [*arguments, "--expect", str(KNOWN)])
    assert result.exit_code == 0, result.output
    done = json.loads(result.stdout)
    assert done["nll"] == pytest.approx(KNOWN, abs=2e-5)
    assert done["tokens"] == 100_000
    assert any("forget" in note for note in done["notes"])


def npz_model(folder: Path) -> tuple[dict[str, np.ndarray], RNNModel]:
    """An LSTM as arrays of inputs x outputs, its gates in the order f, i, o, g."""
    model = randomised(RNNModel("LSTM", len(WORDS), 7, 12, 1, False))
    state = {key: value.numpy() for key, value in model.state_dict().items()}

    def turned(name: str) -> np.ndarray:
        i, f, g, o = np.split(state[f"rnn.{name}_l0"], 4)
        return np.concatenate([f, i, o, g])

    bias = turned("bias_ih") + turned("bias_hh")
    bias[:12] -= 1  # what the mapping's forget_bias adds
    arrays = {
        "emb": state["encoder.weight"],
        "w": turned("weight_ih").T,
        "u": turned("weight_hh").T,
    }
    arrays |= {"b": bias, "out": state["decoder.weight"].T, "out_b": state["decoder.bias"]}
    np.savez(folder / "model.npz", **arrays)
    return arrays, model


MAPPING = """
cell = "lstm"
gates = "fiog"
transposed = true
forget_bias = 1.0
embedding = "emb"
head_weight = "out"
head_bias = "out_b"
[[layers]]
weight_ih = "w"
weight_hh = "u"
bias = "b"
"""


def test_what_was_exported_for_other_programs_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("page.html", "model.onnx"):
        (tmp_path / name).touch()
        with pytest.raises(ConfigError, match="cannot be imported") as caught:
            import_model(tmp_path / name, tmp_path / "run")
        assert "the run that it was exported from" in caught.value.hint


def test_arrays_are_imported_by_a_mapping(tmp_path: Path, words: Path) -> None:
    _, model = npz_model(tmp_path)
    text, ids = write_text(tmp_path)
    (tmp_path / "map.toml").write_text(MAPPING)
    file, mapping = tmp_path / "model.npz", tmp_path / "map.toml"
    done = import_model(file, tmp_path / "run", vocab=words, mapping=mapping, on=text)
    assert done.nll == pytest.approx(mean_nll(model, ids), abs=1e-5)
    with pytest.raises(ModelError, match=r"nats per token on .*, not 2"):
        import_model(file, tmp_path / "b", vocab=words, mapping=mapping, on=text, expect=2.0)
    assert not (tmp_path / "b").exists()
    mapping.write_text(MAPPING.replace('"emb"', '"nothing"'))
    with pytest.raises(ModelError, match="holds no nothing, but emb"):
        import_model(file, tmp_path / "b", vocab=words, mapping=mapping)


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("forget_bias", "forget_bais", "unknown name 'forget_bais'"),
        ("weight_hh", "weigth_hh", "unknown name 'weigth_hh'"),
        ('"fiog"', '"fioo"', "gates must be an order of 'ifgo', got 'fioo'"),
        ('"fiog"', "5", "gates must be"),
        ("= 1.0", "= nan", "forget_bias must be a finite number"),
        ("= true", "= 5", "transposed must be true or false"),
        ('"lstm"', '"x"', "cell must be one of lstm, gru, rnn, got 'x'"),
        ("[[layers]]", "[layers]", "layers must be tables"),
        ('weight_ih = "w"', 'weight_ih = "b"', "b is no matrix"),
    ],
)
def test_a_wrong_mapping_is_named(
    tmp_path: Path, words: Path, old: str, new: str, cause: str
) -> None:
    npz_model(tmp_path)
    mapping = tmp_path / "map.toml"
    mapping.write_text(MAPPING.replace(old, new))
    with pytest.raises(ModelError, match=cause):
        import_model(tmp_path / "model.npz", tmp_path / "run", vocab=words, mapping=mapping)
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_without_unknown_symbol_says_so_and_measures_its_own_texts_alone(
    tmp_path: Path,
) -> None:
    torch.save(MODELS["lstm"](), tmp_path / "model.pt")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS).replace("<unk>", "known"))
    (tmp_path / "text.txt").write_text("the king a stranger known")
    given: dict[str, Any] = {"vocab": tmp_path / "vocab.txt"}
    with pytest.raises(CorpusError, match="has 1 tokens that the vocabulary lacks"):
        import_model(tmp_path / "model.pt", tmp_path / "run", on=tmp_path / "text.txt", **given)
    about = import_model(tmp_path / "model.pt", tmp_path / "run", **given)
    assert "any other word has a probability of 0" in about.notes[0]


def test_what_does_not_fit_is_refused(tmp_path: Path, words: Path) -> None:
    torch.save(MODELS["lstm"](), tmp_path / "model.pt")
    reference: dict[str, Any] = {"vocab": words}

    def refusal(error: type[CharlmError], file: str = "model.pt", **changed: Any) -> str:
        with pytest.raises(error) as caught:
            import_model(tmp_path / file, tmp_path / "new", **{**reference, **changed})
        assert not (tmp_path / "new").exists()
        return f"{caught.value} / {caught.value.hint}"

    assert "give `vocab=FILE`" in refusal(ConfigError, vocab=None)
    assert "give `on=FILE`" in refusal(ConfigError, expect=1.0)
    assert "`mapping` goes with" in refusal(ConfigError, mapping=words)
    assert "does not exist" in refusal(ModelError, "missing.pt")
    assert "does not exist" in refusal(ModelError, "missing.pt", vocab=None)
    short = tmp_path / "short.txt"
    short.write_text("a\nb\n")
    assert "the vocabulary has 2 symbols" in refusal(ModelError, vocab=short)
    relu = RNNModel("LSTM", len(WORDS), 7, 12, 1, False)
    relu.rnn = nn.RNN(7, 12, nonlinearity="relu")
    torch.save(relu, tmp_path / "relu.pt")
    assert "ReLU" in refusal(ModelError, "relu.pt")
    both = RNNModel("LSTM", len(WORDS), 7, 12, 1, False)
    both.rnn = nn.LSTM(7, 6, bidirectional=True)
    torch.save(both.state_dict(), tmp_path / "both.pt")
    assert "backwards" in refusal(ModelError, "both.pt")
    nan = RNNModel("LSTM", len(WORDS), 7, 12, 1, False)
    with torch.no_grad():
        nan.decoder.bias[3] = float("nan")
    torch.save(nan, tmp_path / "nan.pt")
    assert "NaN or infinite" in refusal(ModelError, "nan.pt")
    whole = {name: value.long() for name, value in nan.state_dict().items()}
    torch.save(whole, tmp_path / "whole.pt")
    assert "int64, where weights are floats" in refusal(ModelError, "whole.pt")
    half = tmp_path / "half.json"
    half.write_text(json.dumps([*WORDS[:-1], "\ud800"]))
    assert "'\\ud800' has half a character" in refusal(ModelError, vocab=half)
    import_model(tmp_path / "model.pt", tmp_path / "run", **reference)
    with pytest.raises(CheckpointError, match="exists already"):
        import_model(tmp_path / "model.pt", tmp_path / "run", **reference)


def test_an_import_for_which_the_disk_has_no_space_leaves_nothing(
    tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(MODELS["rnn"](), tmp_path / "model.pt")
    before, fsync, calls = sorted(tmp_path.iterdir()), os.fsync, [0]

    def fail_later(descriptor: int) -> None:
        calls[0] -= 1
        if calls[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_later)
    import_model(tmp_path / "model.pt", tmp_path / "counted" / "run", vocab=words)
    needed = -calls[0]
    assert needed > 8  # settings, tokenizer, four files of the checkpoint, and their folders
    for number in range(1, needed - 1):  # the last two: its name, and that of its folder
        calls[0] = number
        with pytest.raises(CheckpointError, match=r"cannot make the run folder .*run: No space"):
            import_model(tmp_path / "model.pt", tmp_path / "run", vocab=words)
        assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "counted"])
