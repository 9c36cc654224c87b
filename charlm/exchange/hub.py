"""Runs on the Hugging Face Hub: pushed with a model card, pulled and verified before use.

Only files that a run consists of are taken from there, and none is executed.  The Hub's address
and access token come from the environment, as huggingface_hub has them (``HF_ENDPOINT``,
``HF_TOKEN``, ``hf auth login``).
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm import durable
from charlm.config.paths import path_of
from charlm.data.cache import cache_folder
from charlm.data.sources.huggingface import hub_answers
from charlm.errors import (
    REMEDIES,
    CheckpointError,
    ConfigError,
    ModelError,
    way_out,
)
from charlm.exchange.model_card import model_card
from charlm.inference.loading import Loaded, load_run
from charlm.storage.checkpoints import list_checkpoints, read_checkpoint
from charlm.storage.run import open_run

__all__ = ["PREFIX", "Pulled", "Pushed", "local_run", "pull", "push"]

PREFIX = "hf:"
NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}")
FILES = re.compile(
    r"run\.toml|best\.json|log\.jsonl|README\.md|tokenizer/tokenizer\.(json|model)"
    r"|checkpoints/step-\d{8,12}/(model\.safetensors|train\.safetensors|state\.json|manifest\.json)"
)
"""The files of a run; whatever else a repository holds is left there."""

LARGEST = 1 << 34
"""Bytes of a repository that are downloaded at most."""


@dataclass(frozen=True)
class Pushed:
    """A run that was uploaded: its ``url``, its files and their ``bytes`` in all."""

    run: str
    step: int
    url: str
    commit: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Pulled:
    """A run that was downloaded to ``run``: its commit, the steps whose checkpoints were verified,
    and ``bytes`` in all.
    """

    name: str
    run: str
    commit: str
    steps: tuple[int, ...]
    bytes: int


def push(
    run: str | Path, name: str, *, licence: str | None = None, private: bool = False
) -> Pushed:
    """Upload a run to the repository ``owner/name``, which is made if it does not exist.

    Uploaded are settings, tokenizer, log and the best checkpoint, and a model card made from them
    with the ``licence`` (an identifier like ``apache-2.0``).  Raises ``ModelError`` where the Hub
    cannot be reached or refuses, and ``CheckpointError`` for a run that is damaged.
    """
    loaded = load_run(path_of("run", run))
    check_name(name)
    contents = files_to_push(loaded) | {"README.md": model_card(loaded, name, licence).encode()}
    with speaking(name) as hub:
        from huggingface_hub import CommitOperationAdd

        operations = [
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
            for path, content in contents.items()
        ]
        hub.create_repo(name, repo_type="model", private=private, exist_ok=True)
        for operation in operations:
            if operation.path_in_repo.endswith(".safetensors"):
                # Several at once would be uploaded by threads, which no signal reaches.
                hub.preupload_lfs_files(name, [operation])
        done = hub.create_commit(
            name, operations, commit_message=f"Step {loaded.step:,} of a charlm run"
        )
    size = sum(map(len, contents.values()))
    url = f"{hub.endpoint}/{name}"
    return Pushed(str(run), loaded.step, url, done.oid, tuple(contents), size)


def pull(name: str, out: str | Path, revision: str | None = None) -> Pulled:
    """Download the run ``owner/name`` into the new folder ``out``.

    It appears when every file has arrived and every checkpoint agrees with its manifest.  Raises
    ``ModelError`` where the Hub cannot be reached or has no such run, and ``CheckpointError`` if
    ``out`` exists or cannot be written, or what came is damaged.
    """
    out = path_of("out", out)
    check_name(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists already", "choose another `out=FOLDER`")
    target = out.resolve()  # of a link, the folder that it leads to
    with speaking(name) as hub:
        about = hub.model_info(name, revision=revision, files_metadata=True)
        wanted = [each.rfilename for each in about.siblings if FILES.fullmatch(each.rfilename)]
        sizes = [each.size or 0 for each in about.siblings if each.rfilename in wanted]
        check_repository(name, wanted, sum(sizes))
        durable.remove_leftovers(target)
        if target.is_dir():
            durable.remove_folder(target)  # it is empty
        with appearing(target) as folder:
            for file in wanted:  # not at once, in threads, which no signal reaches
                hub.hf_hub_download(name, file, revision=about.sha, local_dir=folder)
            if (folder / ".cache").is_dir():
                durable.remove_folder(folder / ".cache")
            steps = verified_steps(folder, name)
    return Pulled(name, str(out), about.sha, steps, sum(sizes))


def local_run(name: str) -> Path:
    """The folder of the run ``hf:owner/name``, downloaded into the cache if it is not there.

    The newest copy in the cache is used where the Hub cannot be reached.  Raises what ``pull``
    does.
    """
    name = name.removeprefix(PREFIX)
    check_name(name)
    kept = cache_folder() / "hub" / name.replace("/", "--")
    try:
        with speaking(name) as hub:
            commit = hub.model_info(name).sha
    except ModelError:
        copies = sorted(kept.glob("*/run.toml"), key=lambda path: path.stat().st_mtime)
        if not copies:
            raise
        return copies[-1].parent
    folder: Path = kept / commit
    try:
        if not folder.is_dir():
            pull(name, folder, revision=commit)
    except CheckpointError:
        if not folder.is_dir():  # otherwise another process has downloaded it meanwhile
            raise
    return folder


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """``durable.write_folder``; raises ``CheckpointError`` where ``out`` has appeared meanwhile."""
    try:
        with durable.write_folder(out) as folder:
            yield folder
    except OSError:
        if out.is_dir():
            raise CheckpointError(f"{out} exists already", "choose another `out=FOLDER`") from None
        raise


def files_to_push(loaded: Loaded) -> dict[str, bytes]:
    """The files of a run with the checkpoint that was loaded, by their path in the run."""
    folder, checkpoint = loaded.run.folder, f"checkpoints/step-{loaded.step:08d}/"
    contents = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if FILES.fullmatch(name) and name != "README.md" and path.is_file():
            if name.startswith("checkpoints/") and not name.startswith(checkpoint):
                continue
            contents[name] = path.read_bytes()
    return contents


def check_name(name: str) -> None:
    """Raise ``ConfigError`` for what is no ``owner/name``."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or ".." in name:
        raise ConfigError(f"{name!r} is no name of a repository", "give it as owner/name")


def check_repository(name: str, files: list[str], size: int) -> None:
    """Raise ``ModelError`` for a repository that holds no run, or one that is too large."""
    if "run.toml" not in files or "tokenizer/tokenizer.json" not in files:
        raise ModelError(
            f"{name} on the Hub is no run of charlm: it has no run.toml and tokenizer",
            "pull a repository that `charlm push` made, or import the model by `charlm import`",
        )
    if size > LARGEST:
        raise ModelError(f"{name} has {size:,} bytes, more than {LARGEST:,}", "clone it by hand")


def verified_steps(folder: Path, name: str) -> tuple[int, ...]:
    """The steps of the downloaded checkpoints, each read and verified, as are the tokenizer and
    the weights' shapes.

    Raises ``CheckpointError`` or ``TokenizerError``.
    """
    run = open_run(folder)
    steps = tuple(read_checkpoint(path).step for path in list_checkpoints(run.checkpoints))
    if not steps:
        raise CheckpointError(f"{name} on the Hub holds no checkpoint", "push the run again")
    load_run(folder)
    return steps


@contextmanager
def speaking(name: str) -> Iterator[Any]:
    """Yield the ``HfApi`` of the Hub; its errors in the block become ``ModelError``, and those of
    the disk ``CheckpointError``.
    """
    if not hub_answers():
        raise ModelError("the Hub cannot be reached", "check the connection, or use a local run")
    # The compiled transfer, called Xet, answers no signal.
    for unwanted in ("PROGRESS_BARS", "TELEMETRY", "XET"):
        os.environ.setdefault(f"HF_HUB_DISABLE_{unwanted}", "1")
    from huggingface_hub import HfApi, errors

    try:
        yield HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="charlm")
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise ModelError(
            f"the Hub has no {name}, or it is private", "check the name, or set HF_TOKEN"
        ) from None
    except errors.LocalTokenNotFoundError:
        raise ModelError(
            "pushing needs an access token", "hf auth login, or set HF_TOKEN"
        ) from None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in REMEDIES:
            raise CheckpointError(
                f"{name} is not stored: {error.strerror}", way_out(error)
            ) from None
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"the Hub refused: {said}", "check your rights and the name") from None
