"""`.env.example` has every variable that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices, TypeAdapter

from inference.service.settings import Settings
from stereospot.environment import BASE_DIR, Environment

EXAMPLE = dict(
    re.findall(
        r"^#([A-Z][A-Z0-9_]*)=(.*)$", (BASE_DIR / ".env.example").read_text(), re.M
    )
)
OPERATIONS = (BASE_DIR / "docs" / "operations.md").read_text()
OTHERS = {
    # boto's own
    *("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    # the engines'
    *("INFERENCE_DEVICE", "INFERENCE_OFFLOAD", "INFERENCE_COMPILE"),
    *("HF_TOKEN", "HF_TOKEN_ARN", "HF_HOME", "HF_HUB_OFFLINE"),
    *("STEREOSPOT_WEIGHTS", "STEREOSPOT_WEIGHTS_REVISIONS"),
}
"""Read elsewhere than by the two models."""
OF_COMPOSE = {"GPU_POOL", "GPU_AT_ONCE"}


def names(model) -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [name]
        found |= {str(choice).upper() for choice in choices}
    return found


def test_every_variable_is_in_the_example_and_no_other():
    wanted = names(Environment) | names(Settings) | OTHERS | OF_COMPOSE

    assert set(EXAMPLE) - wanted == set(), "nobody reads these"
    assert wanted - set(EXAMPLE) == set(), "add these to .env.example"


def test_every_variable_of_the_documents_is_in_the_example():
    table = OPERATIONS.partition("## Environment")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}

    assert documented - set(EXAMPLE) == set()


@pytest.mark.parametrize("model", [Environment, Settings])
def test_the_example_shows_what_holds_when_nothing_is_set(model):
    for name, field in model.model_fields.items():
        shown = EXAMPLE.get(name.upper())
        if shown and isinstance(field.default, bool | int | float | str):
            read = TypeAdapter(field.annotation).validate_python(shown)
            assert read == field.default, name


def test_the_example_sets_nothing_by_itself():
    lines = (BASE_DIR / ".env.example").read_text().splitlines()

    assert all(not line or line.startswith("#") for line in lines)
    assert Path(EXAMPLE["STEREOSPOT_DATA_DIR"]).name == ".stereospot"
