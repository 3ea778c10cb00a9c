"""One frame of a film in 3D, while a person waits: in a process beside the site's own.

    previews.are_possible()                whether torch is installed here
    with previews.desk.seat():             not more than a few people at once
        previews.desk.picture(question)    a JPEG; None: show the frame first

The process is started by the first question and ends when nobody has asked for a while;
what it was shown goes with it. It answers one question at a time, and a few wait.
"""

from apps.pipeline.previews.desk import BusyError, Desk, are_possible
from apps.pipeline.previews.questions import LARGEST_SIDE, Pixels, Question

__all__ = [
    "LARGEST_SIDE",
    "BusyError",
    "Desk",
    "Pixels",
    "Question",
    "are_possible",
    "desk",
]

desk = Desk()
