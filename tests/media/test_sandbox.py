"""Whatever happens in the sandbox, outside there is a result or one clear sentence."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.pipeline.media.prepare import Wishes, prepare, split_prepared
from apps.pipeline.media.probe import Limits, probe
from apps.pipeline.media.sandbox import Allowance, Sandbox
from contract.errors import ErrorCode, StereoSpotError

ENOUGH = Sandbox(Allowance(memory=6 << 30, seconds=60))


def double(text: str, times: int) -> str:
    return text * times


def hungry(size: int) -> int:
    return len(bytearray(size))


def slow(seconds: float) -> None:
    time.sleep(seconds)


def crash(number: int) -> None:
    os.kill(os.getpid(), number)


def leave_a_child(pid_file: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    pid_file.write_text(str(child.pid))
    time.sleep(60)


def chatty() -> str:
    print("not an answer\n" * 100_000, flush=True)
    return "an answer"


def fill(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))


def wrong() -> None:
    raise LookupError("a mistake of ours")


def count(folder: Path, most: int) -> Iterator[int]:
    for number in range(most):
        (folder / str(number)).touch()
        yield number


def process_id() -> int:
    return os.getpid()


def failure(sandbox: Sandbox, function, *args) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        sandbox.call(function, *args)
    return raised.value


def test_a_result_comes_back_however_big_it_is():
    assert ENOUGH.call(double, "film ", 2_000_000) == "film " * 2_000_000


def test_an_argument_may_be_big_too():
    text = "film " * 1_000_000

    assert ENOUGH.call(double, text, 1) == text


def test_what_a_library_prints_is_no_answer():
    assert ENOUGH.call(chatty) == "an answer"


def test_an_error_arrives_as_itself(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()

    error = failure(ENOUGH, probe, empty, Limits())

    assert error.code is ErrorCode.EMPTY_FILE


def test_a_film_is_probed_in_the_sandbox_as_outside(source):
    given = source("hdr10 in mkv")

    assert ENOUGH.call(probe, given, Limits()) == probe(given, Limits())


def test_a_film_is_chunked_in_the_sandbox(source, tmp_path):
    given = source("hdr10 in mkv")
    film = probe(given, Limits())

    prepared = ENOUGH.call(prepare, given, film, tmp_path, Wishes(target_seconds=1))
    parts = ENOUGH.iterate(split_prepared, prepared, tmp_path)
    number, path, frames = next(parts)
    parts.close()

    assert (number, path.name) == (0, "00000.mp4")
    assert len(frames.core) == prepared.spans[0].count


def test_too_much_memory_ends_only_the_sandbox():
    error = failure(Sandbox(Allowance(memory=1 << 30, seconds=60)), hungry, 2 << 30)

    assert error.code is ErrorCode.TOO_LARGE
    assert "memory" in error.message


def test_too_much_time_ends_only_the_sandbox():
    begun = time.monotonic()

    error = failure(Sandbox(Allowance(seconds=1)), slow, 60)

    assert error.code is ErrorCode.TOO_LARGE
    assert time.monotonic() - begun < 30


def test_a_caller_that_no_longer_wants_the_answer_ends_the_process(tmp_path):
    pid_file = tmp_path / "pid"

    def check() -> None:
        if pid_file.exists() and pid_file.read_text():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Sandbox(Allowance(seconds=60), check).call(leave_a_child, pid_file)

    status = Path(f"/proc/{pid_file.read_text()}/status")
    assert not status.exists() or "zombie" in status.read_text()


def test_an_answer_without_an_end_is_not_kept(monkeypatch):
    monkeypatch.setattr("apps.pipeline.media.sandbox._LONGEST", 1_000_000)

    error = failure(ENOUGH, double, "film ", 2_000_000)

    assert error.code is ErrorCode.TOO_LARGE


def test_too_big_a_file_ends_only_the_sandbox(tmp_path):
    small = Sandbox(Allowance(file_size=1_000_000))

    error = failure(small, fill, tmp_path / "big", 2_000_000)

    assert error.code is ErrorCode.TOO_LARGE
    assert "disk" in error.message


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGSEGV, ErrorCode.UNSUPPORTED_VIDEO),
        (signal.SIGABRT, ErrorCode.UNSUPPORTED_VIDEO),
        (signal.SIGKILL, ErrorCode.TOO_LARGE),
    ],
)
def test_a_crash_is_one_sentence_about_the_film(number, code):
    assert failure(ENOUGH, crash, int(number)).code is code


def test_a_mistake_of_ours_is_ours_and_keeps_its_traceback():
    error = failure(ENOUGH, wrong)

    assert error.code is ErrorCode.INTERNAL
    assert "a mistake of ours" in "".join(error.__notes__)


def test_results_are_made_only_when_they_are_asked_for(tmp_path):
    numbers = ENOUGH.iterate(count, tmp_path, 5)

    first = [next(numbers), next(numbers)]
    time.sleep(0.3)
    made = len(list(tmp_path.iterdir()))

    assert (first, made) == ([0, 1], 2)
    assert list(numbers) == [2, 3, 4]


def test_functions_for_one_film_share_a_process(tmp_path):
    with ENOUGH.opened() as process:
        first = process.call(process_id)
        numbers = process.iterate(count, tmp_path, 5)
        assert [next(numbers), next(numbers)] == [0, 1]
        numbers.close()

        assert process.call(process_id) == first != os.getpid()
        assert process.call(double, "film", 2) == "filmfilm"
    assert len(list(tmp_path.iterdir())) == 2


def in_a_daemon(queue) -> None:
    queue.put(ENOUGH.call(double, "film", 2))


def test_a_daemonic_worker_may_use_the_sandbox():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=in_a_daemon, args=(queue,), daemon=True)
    worker.start()

    assert queue.get(timeout=60) == "filmfilm"
    worker.join(timeout=10)


def test_what_it_has_started_ends_with_it(tmp_path):
    pid_file = tmp_path / "pid"

    with pytest.raises(StereoSpotError, match="longer than"):
        Sandbox(Allowance(seconds=3)).call(leave_a_child, pid_file)

    status = Path(f"/proc/{pid_file.read_text()}/status")
    assert not status.exists() or "zombie" in status.read_text()
