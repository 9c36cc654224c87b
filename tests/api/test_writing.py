"""What a model writes from Python is what the command writes."""

import threading

import pytest

from charlm import CharlmError, Model
from tests.cli.conftest import call


def test_generating_gives_what_the_command_prints(model: Model) -> None:
    prompt = "ba co"
    printed = call("generate", "runs/book", "--prompt", prompt, "--seed", 1)
    assert model.generate(prompt, seed=1) == printed.out
    assert printed.out.startswith(prompt)
    assert len(printed.out) == len(prompt) + 500
    options = ("--temperature", 0.5, "-n", 40, "--top-k", 3, "--stop", "lo", "--samples", 3)
    printed = call("generate", "runs/book", "--seed", 7, *options)
    texts = model.generate(seed=7, temperature=0.5, length=40, top_k=3, stop=["lo"], samples=3)
    assert "\n\n".join(texts) == printed.out
    assert texts == [
        model.generate(seed=seed, temperature=0.5, length=40, top_k=3, stop="lo")
        for seed in (7, 8, 9)
    ]


def test_a_stream_is_the_continuation_in_whole_characters(model: Model) -> None:
    stream = model.stream("mé", seed=3, length=60)
    pieces = list(stream)
    assert "mé" + "".join(pieces) == model.generate("mé", seed=3, length=60)
    assert len(pieces) > 20
    assert (stream.seed, stream.finish) == (3, "length")


def test_a_stream_may_be_closed_in_the_middle(model: Model) -> None:
    stream = model.stream("ba", seed=3, length=50)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert stream.finish is None


def test_a_stream_that_has_been_read_says_so(model: Model) -> None:
    stream = model.stream("ba", seed=3, length=5)
    assert len("".join(stream)) == 5
    with pytest.raises(CharlmError, match="read to its end") as caught:
        list(stream)
    assert "`seed=3`" in caught.value.hint
    assert next(stream, None) is None


def test_several_prompts_give_a_list(model: Model) -> None:
    both = model.generate(["ba", "co"], seed=1, length=9)
    assert both == [model.generate(prompt, seed=1, length=9) for prompt in ("ba", "co")]
    nested = model.generate(["ba", "co"], seed=1, length=9, samples=2)
    assert [texts[0] for texts in nested] == both
    assert [len(texts) for texts in nested] == [2, 2]
    assert model.generate([]) == []


def test_without_a_seed_texts_differ_and_say_how_to_get_them_again(model: Model) -> None:
    assert model.generate(length=80) != model.generate(length=80)
    stream = model.stream(length=40)
    text = "".join(stream)
    assert model.generate(length=40, seed=stream.seed) == text


def test_a_model_may_be_used_by_several_threads(model: Model) -> None:
    alone = [model.generate("ba", seed=seed, length=300) for seed in range(4)]
    found: dict[int, str] = {}

    def write(seed: int) -> None:
        found[seed] = "ba" + "".join(model.stream("ba", seed=seed, length=300))

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == alone


def test_two_streams_in_turn_do_not_disturb_each_other(model: Model) -> None:
    pieces: dict[int, list[str]] = {1: [], 2: []}
    streams = {seed: model.stream("co", seed=seed, length=50) for seed in pieces}
    for _ in range(50):
        for seed, stream in streams.items():
            pieces[seed].append(next(stream, ""))
    for seed, written in pieces.items():
        assert "co" + "".join(written) == model.generate("co", seed=seed, length=50)
