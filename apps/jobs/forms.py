"""What a person says about a new job, and what is accepted."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth.models import User

from apps.jobs.models import ENGINE_CHOICES, FLAT_CHOICE, MODE_CHOICES, Job
from apps.jobs.uploads import File
from contract.generation import (
    LARGEST_SEED,
    LONGEST_PROMPT,
    LONGEST_SECONDS,
    ClipWish,
)
from contract.modes import FLAT, Engine, Mode, StereoMode, WeightsLicence
from contract.origins import LONGEST_URL

MODES: dict[Mode, str] = {
    StereoMode.SBS: "Both eyes whole, beside each other: for headsets and projectors, "
    "the best picture.",
    StereoMode.HALF_SBS: "Both eyes in the room of one, beside each other: "
    "for most 3D televisions.",
    StereoMode.TAB: "Both eyes whole, one above the other: for headsets and players "
    "that want it.",
    StereoMode.HALF_TAB: "Both eyes in the room of one, one above the other: "
    "for televisions that want it.",
    StereoMode.ANAGLYPH: "One picture for red-cyan glasses: for any screen.",
    FLAT: "The clip as it is made, without a second eye.",
}
ENGINES = {
    Engine.PREVIEW: "Depth from motion and rules of thumb: to try a film out, "
    "on any computer.",
    Engine.FAST: "Depth from a small network: for whole films.",
    Engine.STEREOCRAFTER: "Large networks for depth and for what only the right eye "
    "sees: the best picture, slow, and only with a graphics card.",
}


SHAPES = {
    "landscape": ("Landscape, 1280 × 704", (1280, 704)),
    "portrait": ("Portrait, 704 × 1280", (704, 1280)),
    "small": ("Small, 640 × 352: to try a prompt out", (640, 352)),
}
"""Of clips; what makes them was trained on the first two."""


def _usual(name: str) -> Any:
    """What a wish says where a person says nothing."""
    return ClipWish.model_fields[name].default


_MOST_MILLISECONDS = 2**53
"""From 1970, both ways: as far as a browser counts."""


class WishesForm(forms.Form):
    """What is to be made of a film, however it comes."""

    request_id = forms.UUIDField(widget=forms.HiddenInput)
    title = forms.CharField(
        max_length=200, required=False, help_text="Left empty: the file’s name."
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
        help_text="How far apart the two eyes’ pictures may be, "
        "in percent of the picture’s width.",
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

    def job(self, owner: User) -> Job:
        """What the valid form asks for, not saved yet."""
        wanted = ("title", "mode", "engine", "max_disparity", "convergence")
        return Job(owner=owner, **{each: self.cleaned_data[each] for each in wanted})


class NewJobForm(WishesForm):
    """The files themselves are sent in parts, once the job is there to take them."""

    name = forms.CharField(
        label="Video file",
        max_length=255,
        error_messages={"required": "Choose a video file."},
    )
    size = forms.IntegerField()
    modified = forms.IntegerField(
        min_value=-_MOST_MILLISECONDS, max_value=_MOST_MILLISECONDS, required=False
    )
    depth_name = forms.CharField(
        label="Depth video",
        max_length=255,
        required=False,
        help_text="If you have one: a video with a grey picture for each frame of the "
        "film, the brighter the nearer. It takes the place of the engine’s own estimate.",
    )
    depth_size = forms.IntegerField(required=False)
    depth_modified = forms.IntegerField(
        min_value=-_MOST_MILLISECONDS, max_value=_MOST_MILLISECONDS, required=False
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("depth_name") and cleaned.get("depth_size") is None:
            self.add_error("depth_size", "How large is the depth video?")
        return cleaned

    def film(self) -> File:
        """The valid form's film."""
        chosen = self.cleaned_data
        return File(chosen["name"], chosen["size"], chosen["modified"])

    def depth(self) -> File | None:
        """The valid form's depth video, if it has one."""
        chosen = self.cleaned_data
        if not chosen["depth_name"]:
            return None
        return File(
            chosen["depth_name"], chosen["depth_size"], chosen["depth_modified"]
        )


class LinkForm(WishesForm):
    """A film that is fetched from its address."""

    url = forms.CharField(
        label="Address of the film",
        max_length=LONGEST_URL,
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off"}),
        help_text="Of a page that shows one film, or of the file itself.",
        error_messages={"required": "Give the address of a film."},
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["title"].help_text = "Left empty: what it is called there."


class PromptForm(WishesForm):
    """A film that is made of words."""

    prompt = forms.CharField(
        max_length=LONGEST_PROMPT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What is to be seen, in a few sentences: the place, the light, what "
        "moves, and how the camera does.",
        error_messages={"required": "Say what is to be seen."},
    )
    shape = forms.ChoiceField(
        label="Size",
        choices=[(name, words) for name, (words, _) in SHAPES.items()],
        initial="landscape",
    )
    seconds = forms.FloatField(
        label="Length",
        min_value=1,
        max_value=LONGEST_SECONDS,
        initial=_usual("seconds"),
        widget=forms.NumberInput(attrs={"step": "0.5"}),
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=LARGEST_SEED,
        required=False,
        help_text="Left empty: one is drawn, and the film’s page tells it. The same "
        "wish with the same seed gives the same clip, on the same kind of card.",
    )
    negative_prompt = forms.CharField(
        label="What is not to be seen",
        max_length=LONGEST_PROMPT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    steps = forms.IntegerField(
        min_value=1,
        max_value=100,
        initial=_usual("steps"),
        help_text="More take longer, and are finer.",
    )
    guidance = forms.FloatField(
        min_value=0,
        max_value=20,
        initial=_usual("guidance"),
        widget=forms.NumberInput(attrs={"step": "0.5"}),
        help_text="How closely the clip keeps to the prompt; more is stricter, and harsher.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["title"].help_text = "Left empty: the prompt’s first words."
        mode = cast(forms.ChoiceField, self.fields["mode"])
        mode.choices = [*MODE_CHOICES, FLAT_CHOICE]

    def wish(self) -> ClipWish:
        """What the valid form says of the clip."""
        said = self.cleaned_data
        width, height = SHAPES[said["shape"]][1]
        names = ("prompt", "negative_prompt", "seconds", "seed", "steps", "guidance")
        return ClipWish(
            width=width, height=height, **{name: said[name] for name in names}
        )


def licence_of(engine: Engine) -> str:
    """What may be done with the engine's films, in a sentence."""
    return licence_words(engine.licence)


def licence_words(licence: WeightsLicence) -> str:
    """Likewise, of films that were made with weights under this licence."""
    of = f" ({licence.name})" if licence.name else ""
    return f"Licence: {licence.summary}{of}."
