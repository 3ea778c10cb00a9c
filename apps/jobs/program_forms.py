"""What a person says about the programs that work for them: tokens and webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms
from django.utils.timezone import now

from apps.jobs.subscribing import LONGEST


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=80,
        label="Name",
        help_text="Which program it is for.",
        error_messages={"required": "Give the token a name."},
    )
    days = forms.TypedChoiceField(
        label="Ends",
        choices=[
            (30, "in 30 days"),
            (90, "in 90 days"),
            (365, "in a year"),
            (0, "never"),
        ],
        coerce=int,
        initial=90,
    )

    def expires_at(self) -> datetime | None:
        days: int = self.cleaned_data["days"]
        return now() + timedelta(days=days) if days else None


class WebhookForm(forms.Form):
    url = forms.CharField(
        max_length=LONGEST,
        label="Address",
        help_text="Where to post what happened to your jobs: https://…",
        widget=forms.URLInput(),
        error_messages={"required": "Say where to post to."},
    )
