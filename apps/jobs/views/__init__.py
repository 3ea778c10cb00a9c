"""What people see of their jobs, and ask of the ledger.

`listing` lists, `jobs` shows, `previews` shows a frame before `upload` and `parts` take
the film, `link` has it fetched or `prompt` has it made, `media` hands one out, `links` and `playlists` do so to players without a
cookie, `programs` lets programs in, `account` is a person's own; `access` says who may see
what, `progress` puts the ledger's rows into words.
"""

from apps.jobs.views.account import (
    account,
    change_password,
    forget_browser,
    service_worker,
    sign_out_elsewhere,
    tell_browser,
    tell_by_mail,
)
from apps.jobs.views.jobs import cancel, delete, job, progress, retry
from apps.jobs.views.link import link
from apps.jobs.views.links import film
from apps.jobs.views.listing import job_list
from apps.jobs.views.media import final, source, subtitles
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
from apps.jobs.views.prompt import prompt
from apps.jobs.views.segments import segments
from apps.jobs.views.upload import new

__all__ = [
    "abandon",
    "account",
    "add_webhook",
    "cancel",
    "change_password",
    "complete",
    "delete",
    "film",
    "final",
    "forget_browser",
    "job",
    "job_list",
    "link",
    "make_token",
    "new",
    "playlist",
    "playlist_of_all",
    "preview",
    "programs_page",
    "progress",
    "prompt",
    "remove_webhook",
    "retry",
    "revoke_token",
    "segments",
    "service_worker",
    "sign_out_elsewhere",
    "sign_part",
    "source",
    "subtitles",
    "tell_browser",
    "tell_by_mail",
    "upload_part",
    "upload_state",
]
