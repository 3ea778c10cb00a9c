"""What a person says about a new job, and what is accepted."""

from __future__ import annotations

from pathlib import Path

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import TemporaryUploadedFile

from apps.jobs.models import ENGINE_CHOICES, MODE_CHOICES, Job
from apps.jobs.names import source_extension, title_of
from apps.jobs.templatetags.words import size
from contract.modes import Engine, StereoMode

MODES = {
    StereoMode.SBS: "Both eyes whole, beside each other: for headsets and projectors, "
    "the best picture.",
    StereoMode.HALF_SBS: "Both eyes in the room of one, beside each other: "
    "for most 3D televisions.",
    StereoMode.TAB: "Both eyes whole, one above the other: for headsets and players "
    "that want it.",
    StereoMode.HALF_TAB: "Both eyes in the room of one, one above the other: "
    "for televisions that want it.",
    StereoMode.ANAGLYPH: "One picture for red-cyan glasses: for any screen.",
}
ENGINES = {
    Engine.PREVIEW: "Depth from motion and rules of thumb: to try a film out, "
    "on any computer.",
    Engine.FAST: "Depth from a small network: for whole films.",
    Engine.STEREOCRAFTER: "Large networks for depth and for what only the right eye "
    "sees: the best picture, slow, and only with a graphics card.",
}


class NewJobForm(forms.Form):
    file = forms.FileField(
        label="Video file",
        error_messages={
            "required": "Choose a video file.",
            "empty": "The file is empty: choose another one.",
        },
    )
    depth = forms.FileField(
        label="Depth video",
        required=False,
        help_text="If you have one: a video with a grey picture for each frame of the "
        "film, the brighter the nearer. It takes the place of the engine's own estimate.",
        error_messages={"empty": "The file is empty: choose another one, or none."},
    )
    title = forms.CharField(
        max_length=200, required=False, help_text="Left empty: the file's name."
    )
    mode = forms.ChoiceField(
        choices=MODE_CHOICES,
        initial=StereoMode.SBS.value,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose a mode.",
            "invalid_choice": "There is no such mode: choose one of these.",
        },
    )
    engine = forms.ChoiceField(
        choices=ENGINE_CHOICES,
        initial=Engine.PREVIEW.value,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose an engine.",
            "invalid_choice": "There is no such engine: choose one of these.",
        },
    )
    max_disparity = forms.FloatField(
        label="Max disparity",
        min_value=0,
        max_value=10,
        initial=2.0,
        widget=forms.NumberInput(attrs={"step": "0.1"}),
        help_text="How far apart the two eyes' pictures may be, "
        "in percent of the picture's width.",
    )
    convergence = forms.FloatField(
        label="Screen plane",
        min_value=0,
        max_value=1,
        initial=0.5,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text="0: everything stands before the screen. "
        "1: everything lies behind it.",
    )

    def clean_file(self) -> TemporaryUploadedFile:
        file: TemporaryUploadedFile = self.cleaned_data["file"]
        return _within_limit(file)

    def clean_depth(self) -> TemporaryUploadedFile | None:
        depth: TemporaryUploadedFile | None = self.cleaned_data["depth"]
        return depth and _within_limit(depth)

    def film(self) -> Path:
        """The valid form's film, on disk."""
        return Path(self.cleaned_data["file"].temporary_file_path())

    def depth_video(self) -> Path | None:
        """The valid form's depth video, on disk, if there is one."""
        depth = self.cleaned_data["depth"]
        return depth and Path(depth.temporary_file_path())

    def job(self, owner: User) -> Job:
        """What the valid form asks for, not saved yet."""
        chosen = self.cleaned_data
        name = chosen["file"].name or ""
        depth = chosen["depth"]
        return Job(
            owner=owner,
            title=chosen["title"] or title_of(name),
            mode=chosen["mode"],
            engine=chosen["engine"],
            max_disparity=chosen["max_disparity"],
            convergence=chosen["convergence"],
            source_extension=source_extension(name),
            depth_extension=source_extension(depth.name or "") if depth else "",
        )


def licence_of(engine: Engine) -> str:
    """What may be done with the engine's films, in a sentence."""
    licence = engine.licence
    of = f" ({licence.name})" if licence.name else ""
    return f"Licence: {licence.summary}{of}."


def _within_limit(file: TemporaryUploadedFile) -> TemporaryUploadedFile:
    if (file.size or 0) > settings.MAX_SOURCE_BYTES:
        raise forms.ValidationError(too_large(file.size or 0))
    return file


def too_large(bytes_: int) -> str:
    limit = size(settings.MAX_SOURCE_BYTES)
    return f"The file has {size(bytes_)}, and at most {limit} are accepted."
