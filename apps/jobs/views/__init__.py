"""What people see of their jobs, and ask of the ledger.

`listing` lists, `jobs` shows, `previews` shows a frame before `upload` and `parts` take
the film, `media` hands one out, `links` and `playlists` do so to players without a
cookie, `programs` lets programs in; `access` says who may see what, `progress` puts the
ledger's rows into words.
"""

from apps.jobs.views.jobs import cancel, delete, job, progress, retry
from apps.jobs.views.links import film
from apps.jobs.views.listing import job_list
from apps.jobs.views.media import final, source
from apps.jobs.views.parts import (
    abandon,
    complete,
    sign_part,
    upload_part,
    upload_state,
)
from apps.jobs.views.playlists import playlist, playlist_of_all
from apps.jobs.views.previews import preview
from apps.jobs.views.programs import (
    add_webhook,
    make_token,
    programs_page,
    remove_webhook,
    revoke_token,
)
from apps.jobs.views.segments import segments
from apps.jobs.views.upload import new

__all__ = [
    "abandon",
    "add_webhook",
    "cancel",
    "complete",
    "delete",
    "film",
    "final",
    "job",
    "job_list",
    "make_token",
    "new",
    "playlist",
    "playlist_of_all",
    "preview",
    "programs_page",
    "progress",
    "remove_webhook",
    "retry",
    "revoke_token",
    "segments",
    "sign_part",
    "source",
    "upload_part",
    "upload_state",
]
