"""What a person says about the programs that work for them: tokens and webhooks."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta

from django import forms
from django.conf import settings
from django.utils.timezone import now
from pydantic import HttpUrl, TypeAdapter, ValidationError

from apps.pipeline.channels.public import is_allowed

_URL = TypeAdapter(HttpUrl)


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
        max_length=500,
        label="Address",
        help_text="Where to post what happened to your jobs: https://…",
        widget=forms.URLInput(),
        error_messages={"required": "Say where to post to."},
    )

    def clean_url(self) -> str:
        try:
            url = _URL.validate_python(self.cleaned_data["url"])
        except ValidationError as error:
            raise forms.ValidationError("This is no https:// address.") from error
        if url.scheme != "https" and not settings.WEBHOOK_PRIVATE_ADDRESSES:
            raise forms.ValidationError("Webhooks go over https:// only.")
        if url.username or url.password or url.fragment:
            raise forms.ValidationError("Leave out the password and what follows a #.")
        if _is_private(url.host or ""):
            raise forms.ValidationError("Webhooks go to public addresses only.")
        return str(url)[:500]


def _is_private(host: str) -> bool:
    """What can be seen without a look-up; whoever connects looks again."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return not is_allowed(str(address))
