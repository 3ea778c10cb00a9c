"""Finding any part of a title by an index, without an extension of PostgreSQL.

`pg_trgm` would do it, but neither the embedded PostgreSQL nor every hosted one has it.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db.models import Func, TextField


class Grams(Func):
    """Grams(text, shortest): every run of `shortest` to three characters of a text; a
    text that is shorter, itself.

    A title has all grams of each of its parts. They are in capitals, as Django's
    `icontains` compares. The function is made by the migration `job_list_indexes`.
    """

    function = "title_grams"
    output_field = ArrayField(TextField())
