from __future__ import annotations

from django.urls import path

from apps.jobs import views

urlpatterns = [
    path("", views.job_list, name="job-list"),
    path("jobs/new/", views.new, name="job-new"),
    path("jobs/link/", views.link, name="job-link"),
    path("jobs/prompt/", views.prompt, name="job-prompt"),
    path("preview/", views.preview, name="preview"),
    path("jobs/<uuid:job_id>/", views.job, name="job"),
    path("jobs/<uuid:job_id>/progress/", views.progress, name="job-progress"),
    path("jobs/<uuid:job_id>/segments/", views.segments, name="job-segments"),
    path("jobs/<uuid:job_id>/cancel/", views.cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/delete/", views.delete, name="job-delete"),
    path("jobs/<uuid:job_id>/retry/", views.retry, name="job-retry"),
    path("jobs/<uuid:job_id>/abandon/", views.abandon, name="job-abandon"),
    path("jobs/<uuid:job_id>/uploads/<slug:kind>/", views.upload_state, name="upload"),
    path(
        "jobs/<uuid:job_id>/uploads/<slug:kind>/parts/<int:number>/",
        views.sign_part,
        name="upload-sign-part",
    ),
    path(
        "jobs/<uuid:job_id>/uploads/<slug:kind>/complete/",
        views.complete,
        name="upload-complete",
    ),
    # No slash at its end, where curl would add the file's name.
    path("uploads/<str:token>", views.upload_part, name="upload-part"),
    path("jobs/<uuid:job_id>/final/", views.final, name="job-final"),
    path("jobs/<uuid:job_id>/source/", views.source, name="job-source"),
    path(
        "jobs/<uuid:job_id>/subtitles/<int:number>.vtt",
        views.subtitles,
        name="job-subtitles",
    ),
    path("jobs/<uuid:job_id>/playlist.m3u", views.playlist, name="job-playlist"),
    path("playlist.m3u", views.playlist_of_all, name="playlist"),
    path("films/<str:token>/<str:name>", views.film, name="film"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="account-password"),
    path("account/elsewhere/", views.sign_out_elsewhere, name="account-elsewhere"),
    path("account/mail/", views.tell_by_mail, name="account-mail"),
    path("account/browsers/", views.tell_browser, name="account-browser"),
    path(
        "account/browsers/<int:browser_id>/forget/",
        views.forget_browser,
        name="account-browser-forget",
    ),
    path("worker.js", views.service_worker, name="service-worker"),
    path("account/api/", views.programs_page, name="programs"),
    path("account/api/tokens/", views.make_token, name="token-make"),
    path(
        "account/api/tokens/<int:token_id>/revoke/",
        views.revoke_token,
        name="token-revoke",
    ),
    path("account/api/webhooks/", views.add_webhook, name="webhook-add"),
    path(
        "account/api/webhooks/<int:webhook_id>/remove/",
        views.remove_webhook,
        name="webhook-remove",
    ),
]
