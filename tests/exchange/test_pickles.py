"""Foreign pickles execute nothing, and end in a clear refusal."""

import collections
import io
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from charlm.errors import ModelError
from charlm.exchange.foreign.layouts import from_torch
from charlm.exchange.foreign.pickles import read_pickle
from charlm.exchange.foreign.torch_files import read_torch_file
from tests.exchange.definitions import RNNModel


class Calls:
    """Pickles to a call of ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def touching(path: Path) -> dict[str, bytes]:
    """Twenty pickles that would make ``path`` if anything in them were called."""
    code = f"open({str(path)!r}, 'w')"
    shell = f"touch {path}"
    raw = {
        "os.system by opcodes": b"cos\nsystem\n(S'" + shell.encode() + b"'\ntR.",
        "posix.system by opcodes": b"cposix\nsystem\n(S'" + shell.encode() + b"'\ntR.",
        "instance": b"(S'" + shell.encode() + b"'\nios\nsystem\n.",
        "object": b"(cos\nsystem\nS'" + shell.encode() + b"'\no.",
        "layer's name in os": b"cos\nLSTM\n(S'" + shell.encode() + b"'\ntR.",
        "getattr chain": b"cbuiltins\ngetattr\n(cos\npath\nS'join'\ntR(S'a'\ntR.",
        "dotted name": b"\x80\x04\x8c\x02os\x8c\x0bsystem.real\x93.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent id": b"Pos.system\n.",
        "out-of-band buffer": b"\x80\x05\x97.",
    }
    made = {
        "eval": Calls(eval, code), "exec": Calls(exec, code), "open": Calls(open, str(path), "w"),
        "os.system": Calls(os.system, shell), "compile": Calls(compile, code, "a", "exec"),
        "__import__": Calls(__import__, "os"), "getattr": Calls(getattr, os, "system"),
        "torch.load": Calls(torch.load, str(path)),
        "nested": [1, {"a": (Calls(os.system, shell),)}],
        "in a dict": collections.OrderedDict(a=Calls(os.mkdir, str(path))),
    }  # fmt: skip
    del made["getattr"]  # a module cannot be pickled
    made["print"] = Calls(print, "called")
    return raw | {name: pickle.dumps(value) for name, value in made.items()}


@pytest.mark.parametrize("way", ["bare", "zip"])
def test_no_malicious_pickle_is_executed(way: str, tmp_path: Path) -> None:
    canary, file = tmp_path / "canary", tmp_path / "model.pt"
    cases = touching(canary)
    assert len(cases) >= 20
    for name, content in cases.items():
        if way == "zip":
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("model/data.pkl", content)
        else:
            file.write_bytes(content)
        with pytest.raises(
            ModelError, match=r"(?s)refused|not written by|refers to|neither a module"
        ) as caught:
            read_torch_file(file)
        assert not canary.exists(), name
        assert caught.value.hint


def test_a_call_is_named_and_not_made() -> None:
    with pytest.raises(ModelError, match=r"it names posix\.system, which no language model needs"):
        read_pickle(io.BytesIO(pickle.dumps(Calls(os.system, "true"))))


def test_plain_data_is_read_as_pickle_reads_it() -> None:
    value = {
        "a": [1, 2.5, None, True, (), (1,), (1, 2, 3, 4)],
        "b": {"c": "é" * 300},
        7: -(1 << 70),
    }
    value["again"] = value["a"]
    for protocol in range(6):
        if protocol > 2:
            value["bytes"] = b"x" * 300
        assert read_pickle(io.BytesIO(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("legacy", [False, True])
def test_mutated_files_end_in_a_refusal_or_a_model(legacy: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    file, rng = tmp_path / "model.pt", random.Random(5)
    torch.save(RNNModel("LSTM", 6, 3, 4, 1, False), file, _use_new_zipfile_serialization=not legacy)
    whole, ends = file.read_bytes(), collections.Counter[str]()
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.2:
            del content[rng.randrange(len(content)) :]
        file.write_bytes(content)
        try:
            from_torch(read_torch_file(file))
            ends["read"] += 1
        except ModelError as error:
            ends["refused" if str(error) and error.hint else "silent"] += 1
    assert not ends["silent"]
    assert ends["refused"] > 30  # the rest changed numbers, or bytes that nothing reads
