"""Finding any part of a title by an index, without an extension of PostgreSQL.

`pg_trgm` would do it, but neither the embedded PostgreSQL nor every hosted one has it.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.lookups import DataContains
from django.db.models import Func, Q, TextField, Value
from django.db.models.functions import Cast


class Grams(Func):
    """Grams(text, shortest): every run of `shortest` to three characters of a text; a
    text that is shorter, itself.

    A title has all grams of each of its parts. They are in capitals, as Django's
    `icontains` compares. The function is made by the migration `job_list_indexes`.
    """

    function = "title_grams"
    output_field = ArrayField(TextField())


def titled(part: str) -> Q:
    """Jobs with `part` in their titles."""
    grams = Grams(Cast(Value(part), TextField()), 3)
    # Twice the same, the second so that the index can answer it.
    return Q(title__icontains=part) & Q(DataContains(Grams("title", 1), grams))
