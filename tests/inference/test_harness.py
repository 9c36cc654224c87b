"""Real tasks of lm-evaluation-harness, defined on local files, against arithmetic by hand."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import Config, GenerationConfig
from charlm.inference.generation.text import stream
from charlm.inference.loading import Loaded, load_run
from charlm.inference.predictors.reader import Reader
from charlm.training.launch import launch
from tests.inference.fixed import fixed_model, loaded_with
from tests.inference.toys import ToyTokenizer, score_text

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("default")  # what other packages warn of is theirs

LINES = ["the cat sat on the mat", "a dog ate the hat of the cat", "so it goes  on"]
PAGES = ["the dog sat on the mat\n\nthe cat ate", "so it goes  on and on"]
QUESTIONS = [
    {"question": "the cat sat on the", "options": ["mat", "qqq", "tth"], "gold": 0},
    {"question": "so it goes", "options": ["xzx", "on"], "gold": 1},
    {"question": "the", "options": ["dog", "the cat sat on the mat so it goes"], "gold": 1},
]
PERPLEXITY = """
task: local_pages
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity}
  - {metric: byte_perplexity}
  - {metric: bits_per_byte}
"""
CHOICE = """
task: local_choice
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: "{{gold}}"
metric_list:
  - {metric: acc}
  - {metric: acc_norm}
"""


@pytest.fixture(scope="module")
def harness() -> Any:
    found = pytest.importorskip("lm_eval", reason="lm_eval is not installed: the extra eval")
    import charlm.inference.harness  # noqa: F401  (registers the model)

    return found


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "datasets"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harness")
    letters = "".join(map(chr, range(ord("a"), ord("z") + 1)))
    (folder / "book.txt").write_text(("\n\n".join(LINES) + "\n" + letters + "\n") * 20)
    config = Config.from_tables(
        {
            "data": {"sources": [str(folder / "book.txt")]},
            "model": {"hidden_size": 24},
            "training": {"steps": 150, "batch_size": 4, "bptt": 16},
        }
    )
    list(launch(config, folder / "run"))
    return folder / "run"


def define(task: str, rows: list[Any], folder: Path) -> str:
    """Write a YAML task and its JSON Lines; returns its name."""
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.yaml").write_text(task.replace("DATA", str(folder / "data.jsonl")))
    return task.split()[1]


def evaluate(harness: Any, run: Path, task: str, rows: list[Any], folder: Path) -> Any:
    """The figures of a task."""
    from lm_eval.tasks import TaskManager

    name = define(task, rows, folder)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = harness.simple_evaluate(
        model=model_of(run), tasks=[name], task_manager=manager, bootstrap_iters=0
    )
    return found["results"][name]


def model_of(run: Path | Loaded) -> Any:
    from charlm.inference.harness import HarnessModel

    return HarnessModel(run)


def test_perplexities_are_those_of_hand_made_arithmetic(
    harness: Any, run: Path, tmp_path: Path
) -> None:
    rows = [{"text": page} for page in PAGES]
    found = evaluate(harness, run, PERPLEXITY, rows, tmp_path)
    loaded = load_run(run)
    nll = sum(score_text(loaded.model, loaded.tokenizer, page).nll for page in PAGES)
    words = sum(len(re.split(r"\s+", page)) for page in PAGES)
    size = sum(len(page.encode()) for page in PAGES)
    assert found["word_perplexity,none"] == pytest.approx(math.exp(nll / words), rel=1e-6)
    assert found["byte_perplexity,none"] == pytest.approx(math.exp(nll / size), rel=1e-6)
    assert found["bits_per_byte,none"] == pytest.approx(nll / size / math.log(2), rel=1e-6)


def log_prob(loaded: Loaded, context: str, continuation: str) -> float:
    ids = loaded.tokenizer.encode(context + continuation)
    return -float(Reader(loaded.model).nll(ids)[len(context) :].sum())


def test_choices_are_those_of_the_largest_log_probabilities(
    harness: Any, run: Path, tmp_path: Path
) -> None:
    found = evaluate(harness, run, CHOICE, QUESTIONS, tmp_path)
    loaded, right, right_by_length = load_run(run), 0, 0
    for asked in QUESTIONS:
        question, options = str(asked["question"]), list(map(str, asked["options"]))  # type: ignore[call-overload]
        scores = [log_prob(loaded, question, f" {option}") for option in options]
        by_length = [score / len(option) for score, option in zip(scores, options, strict=True)]
        right += scores.index(max(scores)) == asked["gold"]
        right_by_length += by_length.index(max(by_length)) == asked["gold"]
    assert found["acc,none"] == pytest.approx(right / 3)
    assert found["acc_norm,none"] == pytest.approx(right_by_length / 3)


@pytest.mark.parametrize(
    ("context", "continuation", "given", "scored"),
    [
        ("the cat", " sat", "the cat", " sat"),
        ("so it ", "goes", "so it", " goes"),  # the space belongs to what follows
        ("", "the cat", "", "the cat"),
    ],
)
def test_a_log_probability_is_that_of_the_continuation(
    harness: Any, run: Path, context: str, continuation: str, given: str, scored: str
) -> None:
    found, _ = model_of(run).continuation(context, continuation)
    assert found == pytest.approx(log_prob(load_run(run), given, scored), rel=1e-5)


def test_a_token_that_lies_in_both_is_predicted(harness: Any) -> None:
    tokenizer = ToyTokenizer("bpe", ["a", "b", "ab"])
    model = model_of(loaded_with(tokenizer, fixed_model(np.array([0.1, 0.2, 0.3, 0.4]))))
    assert model.continuation("a", "b") == (pytest.approx(math.log(0.4)), True)
    assert model.continuation("b", "ab")[0] == pytest.approx(math.log(0.4))
    assert model.continuation("ba", "a")[0] == pytest.approx(math.log(0.2))


def greedy(run: Path, context: str, length: int) -> str:
    loaded = load_run(run)
    likeliest = GenerationConfig(temperature=0, length=length)
    return "".join(stream(loaded.model, loaded.tokenizer, context, likeliest))


def test_a_continuation_is_greedy_if_each_token_is_the_likeliest(harness: Any, run: Path) -> None:
    model, written = model_of(run), greedy(run, "the cat", 9)
    other = "q" if written[-1] != "q" else "x"
    assert model.continuation("the cat", written)[1]
    assert not model.continuation("the cat", written[:-1] + other)[1]


def test_generation_stops_at_its_strings_and_its_limit(harness: Any, run: Path) -> None:
    model, written = model_of(run), greedy(run, "the cat", 12)
    stop = written[4:6]
    assert model.write("the cat", {"until": [], "max_gen_toks": 12}) == written
    assert model.write("the c@at", {"max_gen_toks": 12}) == written  # @ is unknown
    assert model.write("the cat", {"until": stop, "max_gen_toks": 12}) == written.partition(stop)[0]
    drawn = {"do_sample": True, "temperature": 0.5, "top_k": 3, "max_gen_toks": 5}
    assert len(model.write("the cat", drawn)) <= 5


def test_the_harness_makes_the_model_by_its_name(harness: Any, run: Path) -> None:
    from lm_eval.api.registry import get_model

    made = get_model("charlm").create_from_arg_string(f"run={run}", {"batch_size": 1})
    text = [SimpleNamespace(args=(PAGES[0],))]
    assert made.loglikelihood_rolling(text) == model_of(run).loglikelihood_rolling(text)
    assert get_model("dummy").__name__ == "DummyLM"


@pytest.mark.long
def test_its_command_line_runs_with_the_model_registered(
    harness: Any, run: Path, tmp_path: Path
) -> None:
    name = define(PERPLEXITY, [{"text": page} for page in PAGES], tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "charlm.inference.harness", "--model", "charlm", "--model_args",
         f"run={run}", "--tasks", name, "--include_path", tmp_path, "--device", "auto"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bits_per_byte" in done.stdout
