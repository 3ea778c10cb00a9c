from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models

import apps.jobs.models.grams

TITLE_GRAMS = """
CREATE FUNCTION title_grams(text, shortest integer) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(upper($1), place, size)), '{}')
    FROM generate_series(greatest(1, least(shortest, length($1))), 3) AS size,
         generate_series(1, length($1) - size + 1) AS place
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(TITLE_GRAMS, "DROP FUNCTION title_grams(text, integer)"),
        migrations.RemoveIndex(model_name="job", name="job_of_owner"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["-created_at", "-id"], name="job_newest"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["status", "-created_at", "-id"], name="job_in_state"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["owner", "-created_at", "-id"], name="job_of_owner"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["owner", "status", "-created_at", "-id"],
                name="job_of_owner_in_state",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=GinIndex(apps.jobs.models.grams.Grams("title", 1), name="job_title"),
        ),
    ]
