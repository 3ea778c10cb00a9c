from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi, close_session, constants, file_download
from safetensors.numpy import save

from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.modes import Engine
from inference import weights
from inference.weights import (
    DEPTH_ANYTHING,
    DEPTHCRAFTER,
    NEEDED,
    STEREOCRAFTER,
    SVD,
    fetch,
    pins,
    token,
    version,
    whole,
)
from inference.weights.__main__ import main
from inference.weights.hub import Progress
from tests.inference.hub import Hub, serve


def content_of(name: str) -> bytes:
    """Another one for each name: the hub's cache keeps the same content once."""
    if name.endswith(".safetensors"):
        return save({name: np.arange(3000, dtype=np.float32)})
    return json.dumps({"name": name}).encode()


TENSORS = content_of("model.safetensors")


def files_of(repo: weights.Repository) -> dict[str, bytes]:
    prefix = f"{repo.roots[0]}/" if repo.roots[0] else ""
    return {prefix + file: content_of(file) for file in repo.files}


def is_there(located: weights.Located, repo: weights.Repository) -> bool:
    return all(
        (located.folder / file).read_bytes() == content_of(file) for file in repo.files
    )


def point_to(monkeypatch, url: str) -> None:
    """What `HF_ENDPOINT` does when the client is imported."""
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """An empty cache of a person whom the hub does not know."""
    for name in (weights.FOLDER, pins.OVERRIDES, token.VARIABLE, token.SECRET):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "harnesses"))
    # The client pauses before it tries again.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    return tmp_path / "hub"


@pytest.fixture
def hub(cache: Path, monkeypatch):
    """A hub that has everything, with a little more than anybody needs."""
    hub = Hub()
    for repo in {repo for needed in NEEDED.values() for repo in needed}:
        extra = {"README.md": b"Read me.", "unet/huge.safetensors": b"All of it."}
        hub.add(repo.name, files_of(repo) | extra, repo.revision or "")
    close_session()
    with serve(hub):
        point_to(monkeypatch, hub.url)
        yield hub
    close_session()


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch) -> Path:
    """A folder with the files of every engine."""
    folder = tmp_path / "by hand"
    for repo in {repo for needed in NEEDED.values() for repo in needed}:
        for name, content in files_of(repo).items():
            path = folder / repo.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    monkeypatch.setenv(weights.FOLDER, str(folder))
    return folder


def refused(engine: Engine = Engine.FAST) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as refusal:
        fetch(engine)
    return refusal.value


def test_an_engine_without_weights_needs_no_hub():
    assert fetch(Engine.PREVIEW) == {}
    assert version({}) == ""


@pytest.mark.parametrize("engine", [Engine.FAST, Engine.STEREOCRAFTER])
def test_the_files_that_are_needed_are_fetched_and_no_others(hub, engine):
    found = fetch(engine)

    assert set(found) == set(NEEDED[engine])
    assert all(is_there(located, repo) for repo, located in found.items())
    assert not {"README.md", "unet/huge.safetensors"} & set(hub.asked)


def test_what_is_here_is_not_asked_for_again(hub):
    first = fetch(Engine.STEREOCRAFTER)
    hub.requests = 0

    assert fetch(Engine.STEREOCRAFTER) == first
    assert hub.requests == 0


def test_what_is_here_is_found_offline(hub, monkeypatch):
    first = fetch(Engine.STEREOCRAFTER)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert fetch(Engine.STEREOCRAFTER) == first


def test_offline_a_machine_without_weights_says_how_to_bring_them(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()

    error = refused()

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert error.code.blame is Blame.OPERATOR
    assert "HF_HUB_OFFLINE is set" in error.message
    assert "copy its HF_HOME" in error.message


def test_weights_in_the_root_of_their_repository_are_found_too(hub):
    hub.files[STEREOCRAFTER.name] = {
        file: content_of(file) for file in STEREOCRAFTER.files
    }

    located = fetch(Engine.STEREOCRAFTER)[STEREOCRAFTER]

    assert is_there(located, STEREOCRAFTER)
    assert located.folder.name == located.revision


def test_a_repository_without_known_revision_is_pinned_at_its_first_use(hub, cache):
    first = fetch(Engine.STEREOCRAFTER)
    hub.commits[DEPTHCRAFTER.name] = "c" * 40
    again = fetch(Engine.STEREOCRAFTER)

    pinned = json.loads((cache / "weights.lock.json").read_text())
    assert set(pinned) == {DEPTHCRAFTER.name, STEREOCRAFTER.name}
    assert pinned[DEPTHCRAFTER.name] == first[DEPTHCRAFTER].revision
    assert version(again) == version(first)


def test_who_comes_second_uses_what_the_first_has_pinned(hub, cache, monkeypatch):
    """A commit is made while two processes ask for the newest."""
    first = hub.commits[DEPTHCRAFTER.name]
    hub.older.add(first)
    hub.commits[DEPTHCRAFTER.name] = "c" * 40
    describe = HfApi.model_info

    def meanwhile(api: HfApi, name: str, **kwargs):
        if name == DEPTHCRAFTER.name:
            pins.pin(DEPTHCRAFTER, first)
        return describe(api, name, **kwargs)

    cache.mkdir()
    monkeypatch.setattr(HfApi, "model_info", meanwhile)

    assert fetch(Engine.STEREOCRAFTER)[DEPTHCRAFTER].revision == first


def test_the_lock_is_kept_when_the_files_are_fetched_again(hub, cache):
    cache.mkdir()
    pins = {DEPTHCRAFTER.name: hub.commits[DEPTHCRAFTER.name], "other/one": "d" * 40}
    (cache / "weights.lock.json").write_text(json.dumps(pins))

    found = fetch(Engine.STEREOCRAFTER)

    assert found[DEPTHCRAFTER].revision == pins[DEPTHCRAFTER.name]
    assert json.loads((cache / "weights.lock.json").read_text()).items() >= pins.items()


def test_a_revision_that_is_gone_is_the_operators_to_replace(hub):
    hub.commits[DEPTH_ANYTHING.name] = "e" * 40

    error = refused()

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert DEPTH_ANYTHING.revision in error.message
    assert "STEREOSPOT_WEIGHTS_REVISIONS" in error.message


def test_the_environment_names_another_revision(hub, cache, monkeypatch):
    hub.commits[DEPTH_ANYTHING.name] = "e" * 40
    monkeypatch.setenv(
        "STEREOSPOT_WEIGHTS_REVISIONS",
        f"{DEPTH_ANYTHING.name}={'e' * 40}, a/b={'1' * 40}",
    )

    assert version(fetch(Engine.FAST)) == "eeeeeee"
    assert not (cache / "weights.lock.json").exists()


def test_a_revision_in_the_environment_is_a_commit(hub, monkeypatch):
    monkeypatch.setenv("STEREOSPOT_WEIGHTS_REVISIONS", "a/b=main")

    assert refused().code is ErrorCode.MISCONFIGURED


def test_a_lock_that_cannot_be_read_is_not_overruled(hub, cache):
    cache.mkdir()
    (cache / "weights.lock.json").write_text("{")

    error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert "weights.lock.json" in error.message


def test_without_a_token_a_gated_repository_says_where_to_accept_its_licence(hub):
    hub.gated[SVD.name] = "hf_right"

    error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert error.code.blame is Blame.OPERATOR
    assert f"{hub.url}/{SVD.name}" in error.message
    assert "set HF_TOKEN" in error.message


def test_a_token_that_may_not_is_told_from_none(hub, monkeypatch):
    hub.gated[SVD.name] = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")

    error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "refuses the token" in error.message
    assert "hf_wrong" not in error.message


def test_the_right_token_opens_a_gated_repository(hub, monkeypatch):
    hub.gated[SVD.name] = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")

    assert is_there(fetch(Engine.STEREOCRAFTER)[SVD], SVD)


def test_a_token_that_was_changed_meanwhile_gets_its_turn(hub, monkeypatch, caplog):
    hub.gated[SVD.name] = "hf_right"
    held = ["hf_wrong"]

    def read() -> token.Token:
        value, held[0] = held[0], "hf_right"
        return token.Token(value, "the secret")

    monkeypatch.setattr(token, "read", read)
    with caplog.at_level(logging.DEBUG):
        assert is_there(fetch(Engine.STEREOCRAFTER)[SVD], SVD)
    assert "hf_" not in caplog.text


@pytest.mark.parametrize("value", ["hf_tökén", "hf_right hf_left", "hf_right\nhf_left"])
def test_a_token_that_no_request_can_carry_is_told_and_never_shown(
    hub, monkeypatch, caplog, value
):
    hub.gated[SVD.name] = "hf_right"
    monkeypatch.setenv("HF_TOKEN", value)

    with caplog.at_level(logging.DEBUG):
        error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "HF_TOKEN has characters in it that no token has" in error.message
    assert value not in caplog.text + error.message
    assert is_there(fetch(Engine.FAST)[DEPTH_ANYTHING], DEPTH_ANYTHING)


def test_a_placeholder_for_a_token_keeps_nobody_from_open_weights(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "REPLACE_ME")

    assert is_there(fetch(Engine.FAST)[DEPTH_ANYTHING], DEPTH_ANYTHING)
    assert hub.shown == {None}  # the hub itself refuses a token that it does not know


def test_a_gated_repository_says_what_is_wrong_with_the_token(hub, monkeypatch):
    hub.gated[SVD.name] = "REPLACE_ME"
    monkeypatch.setenv("HF_TOKEN", "REPLACE_ME")

    error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_FORBIDDEN
    assert "HF_TOKEN is a placeholder" in error.message


def test_a_secret_that_cannot_be_read_just_now_is_worth_another_try(hub, monkeypatch):
    hub.gated[SVD.name] = "hf_right"
    fault = StereoSpotError(ErrorCode.WEIGHTS_UNREACHABLE, "No answer.")
    monkeypatch.setattr(token, "read", lambda: token.Token(None, "the secret", fault))

    assert refused(Engine.STEREOCRAFTER).code is ErrorCode.WEIGHTS_UNREACHABLE


def test_a_repository_that_the_hub_does_not_show_may_be_private(hub):
    del hub.files[DEPTH_ANYTHING.name]

    assert refused().code is ErrorCode.WEIGHTS_FORBIDDEN


def test_a_repository_without_a_needed_file_is_refused_before_any_download(hub):
    del hub.files[DEPTH_ANYTHING.name]["model.safetensors"]

    error = refused()

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert "model.safetensors" in error.message
    assert not hub.asked


def test_a_hub_that_nobody_answers_for_is_unreachable_for_now(cache, monkeypatch):
    point_to(monkeypatch, "http://127.0.0.1:9")

    error = refused()

    assert error.code is ErrorCode.WEIGHTS_UNREACHABLE
    assert error.code.blame is Blame.TRANSIENT
    assert "copy its HF_HOME" in error.message


def test_a_hub_that_fails_is_unreachable_for_now(hub):
    hub.broken.add(DEPTH_ANYTHING.name)

    assert refused().code is ErrorCode.WEIGHTS_UNREACHABLE


def test_a_connection_that_breaks_goes_on_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.cuts["model.safetensors"] = 2

    located = fetch(Engine.FAST)[DEPTH_ANYTHING]

    assert is_there(located, DEPTH_ANYTHING)
    # At most a chunk is lost each time.
    assert hub.asked["model.safetensors"] < len(TENSORS) + 2 * 1000


def test_what_was_fetched_before_a_failure_is_kept(hub):
    hub.cuts["vae/diffusion_pytorch_model.fp16.safetensors"] = 10**6
    assert refused(Engine.STEREOCRAFTER).code is ErrorCode.WEIGHTS_UNREACHABLE
    hub.cuts.clear()

    fetch(Engine.STEREOCRAFTER)

    whole = "image_encoder/model.fp16.safetensors"
    assert hub.asked[whole] == len(content_of(whole))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.DISK_FULL),
        (errno.EROFS, ErrorCode.WEIGHTS_CORRUPT),
    ],
)
def test_a_disk_that_takes_nothing_is_the_operators(hub, monkeypatch, number, code):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number), "blob")

    monkeypatch.setattr(file_download, "http_get", fail)

    error = refused()

    assert error.code is code
    assert "HF_HOME" in error.message


@pytest.mark.parametrize("source", ["hub", "by_hand"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", TENSORS[: len(TENSORS) // 2]),
        ("model.safetensors", b""),
        ("model.safetensors", b"<html>Please log in.</html>"),
        ("model.safetensors", save({})),
        ("config.json", b'{"layers": '),
        ("config.json", b"[]"),
    ],
)
def test_a_file_that_is_not_whole_is_named(request, source, name, content):
    if source == "hub":
        request.getfixturevalue("hub")
        path = fetch(Engine.FAST)[DEPTH_ANYTHING].folder / name
    else:
        path = request.getfixturevalue("by_hand") / DEPTH_ANYTHING.folder / name
    path.write_bytes(content)

    error = refused()

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert error.message.startswith(str(path))
    assert ("Remove" if source == "hub" else "Copy it there again") in error.message


def test_what_the_hubs_cache_has_damaged_is_mended_as_the_error_says(hub):
    file = fetch(Engine.FAST)[DEPTH_ANYTHING].folder / "model.safetensors"
    file.write_bytes(TENSORS[:100])
    folder = re.search(r"Remove (\S+):", refused().message)[1]

    shutil.rmtree(folder)

    assert is_there(fetch(Engine.FAST)[DEPTH_ANYTHING], DEPTH_ANYTHING)


def test_what_a_killed_download_left_is_removed_when_nobody_can_be_at_it(hub, cache):
    blobs = cache / f"models--{DEPTH_ANYTHING.name.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    left, alive = blobs / "a.1.incomplete", blobs / "b.2.incomplete"
    for part in (left, alive):
        part.touch()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (long_ago, long_ago))

    fetch(Engine.FAST)

    assert not left.exists()
    assert alive.exists()


def test_files_that_came_by_hand_are_used_where_they_are(by_hand):
    found = fetch(Engine.STEREOCRAFTER)

    assert found[SVD].folder == by_hand / SVD.folder
    assert found[STEREOCRAFTER].folder == (
        by_hand / STEREOCRAFTER.folder / "unet_diffusers"
    )
    assert all(is_there(located, repo) for repo, located in found.items())


def test_other_files_by_hand_are_another_version(by_hand, monkeypatch):
    monkeypatch.setattr(whole, "SAMPLE", 100)
    before = version(fetch(Engine.FAST))
    changed = TENSORS[:-4] + b"\x00\x00\x80\x3f"
    (by_hand / DEPTH_ANYTHING.folder / "model.safetensors").write_bytes(changed)

    assert version(fetch(Engine.FAST)) != before


def test_a_file_that_is_missing_by_hand_is_named(by_hand):
    path = by_hand / SVD.folder / "vae" / "config.json"
    path.unlink()

    error = refused(Engine.STEREOCRAFTER)

    assert error.code is ErrorCode.WEIGHTS_CORRUPT
    assert error.message.startswith(f"{path} is missing")


def test_fetching_shows_in_the_log(hub, monkeypatch, caplog):
    monkeypatch.setattr(Progress, "every", 0.0)
    with caplog.at_level(logging.INFO, logger="inference.weights.hub"):
        fetch(Engine.FAST)

    first, *progress, last = (
        record.getMessage() for record in caplog.records if "weights" in record.name
    )
    assert first.startswith(f"Fetching {DEPTH_ANYTHING.name} at")
    assert progress[-1].endswith("of 0.00 GB")
    assert last == f"{DEPTH_ANYTHING.name} at {DEPTH_ANYTHING.revision}"


def test_progress_counts_what_has_come(monkeypatch, caplog):
    monkeypatch.setattr(Progress, "every", 0.0)
    with caplog.at_level(logging.INFO, logger="inference.weights.hub"):
        bar = Progress(total=2_000_000_000, unit="B")
        bar.update(1_000_000_000)
        bar.update(500_000_000)

    assert caplog.messages == ["1.00 of 2.00 GB", "1.50 of 2.00 GB"]


def test_the_command_says_what_lies_where_and_under_which_licence(by_hand, capsys):
    assert main(["stereocrafter"]) == 0

    said = capsys.readouterr().out
    assert SVD.name in said
    assert str(by_hand / DEPTHCRAFTER.folder) in said
    assert "research only" in said


def test_the_command_takes_hub_and_cache_from_the_environment(hub, tmp_path):
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "inference.weights"]
    done = subprocess.run(
        [*command, "fast"], env=environment, capture_output=True, text=True, check=False
    )
    hub.gated[SVD.name] = "hf_right"
    failed = subprocess.run(
        [*command, "stereocrafter"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert str(tmp_path / "home") in done.stdout
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].endswith("[weights-forbidden]")
