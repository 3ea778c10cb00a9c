"""How an H.264 packet lets a decoder in: what containers do not tell.

A packet that a container calls a keyframe may be an IDR frame, from which everything
is clean, or a recovery point, from which the picture is clean only some frames later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SLICE, _IDR, _SEI = 1, 5, 6
"""NAL unit types (ITU-T H.264, table 7-1)."""
_RECOVERY_POINT = 6
"""SEI payload type (ITU-T H.264, D.1)."""
_START_CODE = re.compile(b"\x00\x00\x01")


def length_size(extradata: bytes | None) -> int:
    """Bytes of a NAL unit's length prefix; 0 where units follow start codes."""
    if extradata and len(extradata) > 4 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    return 0


def recovery_frame_count(data: bytes, prefix: int) -> int:
    """Frames after a keyframe packet until the picture is clean; 0 is at once."""
    for unit in _units(data, prefix):
        kind = unit[0] & 31
        if kind in (_SLICE, _IDR):
            return 0
        if kind == _SEI:
            count = _recovery_in(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
            if count is not None:
                return count
    return 0


def _units(data: bytes, prefix: int) -> Iterator[bytes]:
    """NAL units that are not empty."""
    if prefix:
        offset = 0
        while offset + prefix < len(data):
            size = int.from_bytes(data[offset : offset + prefix], "big")
            offset += prefix
            if size:
                yield data[offset : offset + size]
            offset += size
        return
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [start - len(_START_CODE.pattern) for start in starts[1:]]
    for start, end in zip(starts, [*ends, len(data)], strict=False):
        if start < end:
            yield data[start:end]


def _recovery_in(payloads: bytes) -> int | None:
    offset = 0
    while offset + 2 < len(payloads):
        kind, offset = _sei_number(payloads, offset)
        size, offset = _sei_number(payloads, offset)
        if kind == _RECOVERY_POINT:
            return _exp_golomb(payloads[offset : offset + size])
        offset += size
    return None


def _sei_number(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    while offset < len(data) and data[offset] == 0xFF:
        value += 255
        offset += 1
    if offset < len(data):
        value += data[offset]
    return value, offset + 1


def _exp_golomb(data: bytes) -> int | None:
    bits = "".join(f"{byte:08b}" for byte in data[:8])
    zeros = bits.find("1")
    if zeros < 0 or len(bits) < 2 * zeros + 1:
        return None
    return int(bits[zeros : 2 * zeros + 1], 2) - 1
