from __future__ import annotations

import subprocess
import sys

import torch

from inference import process

SEGMENTS = """
import resource, threading, torch
from inference import process

process.settle()
assert torch.get_num_threads() == 1

def segment():
    for _ in range(20):
        frames = [torch.ones(1_000_000) for _ in range(20)]
        worker = threading.Thread(target=frames.clear)
        worker.start()
        worker.join()

peaks = []
for _ in range(3):
    segment()
    process.give_back_memory()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    held = int(open("/proc/self/statm").read().split()[1]) * 4
print(peaks[0], peaks[-1], held)
"""


def test_a_later_segment_takes_no_more_memory_than_the_first():
    done = subprocess.run(
        [sys.executable, "-c", SEGMENTS], capture_output=True, text=True, check=True
    )

    first, last, held = map(int, done.stdout.split())
    assert last <= first * 1.05
    assert held < last


def test_what_a_card_has_to_spare_goes_back_to_it(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))

    process.give_back_memory()

    assert emptied
