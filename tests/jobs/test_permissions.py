"""Who may do what, for every address of the site.

The table has a line for each address; one that is missing there, or there and nowhere
else, fails. Of the admin's own addresses there are too many, and one rule holds for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.timezone import now

from apps.jobs import storage, tokens
from apps.jobs.models import Job, Subscription
from contract.keys import SubtitleKey
from stereospot.embedded import free_port

PEOPLE = ("nobody", "stranger", "owner", "staff")


@dataclass(frozen=True)
class Rule:
    """What each of PEOPLE is answered."""

    answers: tuple[int, int, int, int]
    method: str = "GET"
    job: str = "running"
    """Which of the owner's jobs is asked for."""
    data: dict[str, Any] = field(default_factory=dict)
    api: bool = False
    """People show a token, and no cookie."""
    guarded: bool = True
    """What changes something wants a CSRF token, or another proof."""


def page(*answers: int, **more: Any) -> Rule:
    return Rule(answers or (302, 200, 200, 200), **more)


def own(*answers: int, **more: Any) -> Rule:
    """Something of the owner's: for others it does not exist, but staff sees all jobs."""
    return Rule(answers or (302, 404, 200, 200), **more)


def act(*answers: int, **more: Any) -> Rule:
    return Rule(answers or (302, 404, 303, 303), method="POST", **more)


def api(*answers: int, **more: Any) -> Rule:
    return Rule(answers or (401, 404, 200, 200), api=True, guarded=False, **more)


ALL_ALIKE = {
    status: Rule((status, status, status, status)) for status in (200, 302, 404)
}
OVER = (401, 404, 409, 409)
"""Of an upload that is over: who may not see the job does not learn as much."""
THEIRS_ALONE = (302, 404, 303, 404)
"""A person's own way of being told, or their key: no business of staff's."""
TABLE: dict[str, list[Rule]] = {
    "": [page()],
    "jobs/new/": [page(), act(401, 422, 422, 422)],
    "jobs/link/": [page(), act(302, 422, 422, 422)],
    "jobs/prompt/": [page(), act(302, 422, 422, 422)],
    "preview/": [act(401, 400, 400, 400)],
    "jobs/<uuid:job_id>/": [own()],
    # A redirect would put the sign-in page into the job's: it says to reload.
    "jobs/<uuid:job_id>/progress/": [own(200, 404, 200, 200)],
    "jobs/<uuid:job_id>/segments/": [own()],
    "jobs/<uuid:job_id>/cancel/": [act()],
    "jobs/<uuid:job_id>/delete/": [act()],
    "jobs/<uuid:job_id>/retry/": [act()],
    "jobs/<uuid:job_id>/abandon/": [act(401, 404, 204, 204, job="fresh")],
    "jobs/<uuid:job_id>/uploads/<slug:kind>/": [own(*OVER)],
    "jobs/<uuid:job_id>/uploads/<slug:kind>/parts/<int:number>/": [act(*OVER)],
    "jobs/<uuid:job_id>/uploads/<slug:kind>/complete/": [act(*OVER)],
    # The address holds a signed token, which here is forged.
    "uploads/<str:token>": [Rule((403, 403, 403, 403), method="PUT", guarded=False)],
    "jobs/<uuid:job_id>/final/": [own(job="done"), own(302, 404, 404, 404)],
    "jobs/<uuid:job_id>/source/": [own(job="done")],
    "jobs/<uuid:job_id>/subtitles/<int:number>.vtt": [
        own(job="done"),
        own(302, 404, 404, 404),
    ],
    "jobs/<uuid:job_id>/playlist.m3u": [own(job="done")],
    "playlist.m3u": [page()],
    # As above: a forged token.
    "films/<str:token>/<str:name>": [ALL_ALIKE[404]],
    "account/": [page()],
    "account/password/": [act(302, 422, 422, 422)],
    "account/elsewhere/": [act(302, 422, 422, 422)],
    "account/mail/": [act(302, 303, 303, 303)],
    "account/browsers/": [act(302, 422, 422, 422)],
    "account/browsers/<int:browser_id>/forget/": [act(*THEIRS_ALONE)],
    "account/api/": [page()],
    "account/api/tokens/": [act(302, 422, 422, 422)],
    "account/api/tokens/<int:token_id>/revoke/": [act(*THEIRS_ALONE)],
    "account/api/webhooks/": [act(302, 422, 422, 422)],
    "account/api/webhooks/<int:webhook_id>/remove/": [act(*THEIRS_ALONE)],
    # A token of Prometheus's, or staff.
    "metrics": [page(401, 401, 401, 200)],
    "readyz": [ALL_ALIKE[200]],
    "worker.js": [ALL_ALIKE[200]],
    "favicon.ico": [ALL_ALIKE[302]],
    "login/": [ALL_ALIKE[200], Rule((200, 200, 200, 200), method="POST")],
    "logout/": [Rule((302, 302, 302, 302), method="POST")],
    # There is no Flower here: staff is told so, others that there is no such page.
    "flower/": [Rule((302, 404, 404, 502))],
    "flower/<path:page>": [Rule((302, 404, 404, 502))],
    "api/v1/": [ALL_ALIKE[404]],
    "api/v1/^": [ALL_ALIKE[404]],
    "api/v1/openapi.json": [ALL_ALIKE[200]],
    "api/v1/offers": [api(401, 200, 200, 200)],
    "api/v1/jobs": [api(401, 200, 200, 200)],
    "api/v1/jobs/<uuidstr:job_id>": [api(), api(401, 404, 204, 204, method="DELETE")],
    "api/v1/jobs/<uuidstr:job_id>/events": [api()],
    "api/v1/jobs/<uuidstr:job_id>/segments": [api()],
    "api/v1/jobs/<uuidstr:job_id>/result": [api(job="done")],
    "api/v1/jobs/<uuidstr:job_id>/playlist": [api(job="done")],
    "api/v1/playlist": [api(401, 200, 200, 200)],
    "api/v1/jobs/<uuidstr:job_id>/cancel": [api(method="POST")],
    "api/v1/jobs/<uuidstr:job_id>/retry": [api(401, 404, 409, 409, method="POST")],
    "api/v1/jobs/<uuidstr:job_id>/uploads": [api()],
    "api/v1/jobs/<uuidstr:job_id>/uploads/<kind>/parts/<int:number>": [
        api(401, 404, 409, 409, method="POST")
    ],
    "api/v1/jobs/<uuidstr:job_id>/uploads/<kind>/complete": [
        api(401, 404, 409, 409, method="POST")
    ],
    "api/v1/webhooks": [
        api(401, 200, 200, 200),
        api(401, 422, 422, 422, method="POST"),
    ],
    "api/v1/webhooks/<int:webhook_id>": [
        api(401, 404, 200, 404),
        api(401, 404, 204, 404, method="DELETE"),
    ],
}
ADMIN = "admin/"
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


def addresses(
    patterns: list[URLPattern | URLResolver], above: str = ""
) -> Iterator[str]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, above + str(each.pattern))
        else:
            yield above + str(each.pattern)


EVERY = sorted(set(addresses(get_resolver().url_patterns)))
OF_ADMIN = [each for each in EVERY if each.startswith(ADMIN)]
OTHERS = [each for each in EVERY if not each.startswith(ADMIN)]


@dataclass
class World:
    """Somebody's things, and everybody who may want them."""

    people: dict[str, User | None]
    jobs: dict[str, Job]
    ids: dict[str, str]

    def url(self, address: str, rule: Rule) -> str:
        values = {**self.ids, "job_id": str(self.jobs[rule.job].pk)}
        filled = ARGUMENT.sub(lambda found: values[found[1]], address)
        return "/" + filled.replace("^", "").replace("$", "")

    def client(self, person: str, rule: Rule, **options: Any) -> Client:
        user = self.people[person]
        if user is None:
            return Client(**options)
        if rule.api:
            _, token = tokens.make(user, "a program", None)
            return Client(headers={"Authorization": f"Bearer {token}"}, **options)
        client = Client(**options)
        client.force_login(user)
        return client

    def answer(self, person: str, address: str, rule: Rule, **options: Any) -> int:
        """The status; whatever was changed is as before."""
        client = self.client(person, rule, **options)
        ask = getattr(client, rule.method.lower())
        with transaction.atomic():
            response = ask(self.url(address, rule), **rule.data)
            if response.streaming:
                b"".join(response)
            transaction.set_rollback(True)
        return int(response.status_code)


@pytest.fixture
def world(alice, charlie, job, admin_user, settings) -> World:
    settings.INGEST_HOSTS = ["films.example"]
    settings.PROMPTS = True
    settings.FLOWER_URL = f"http://127.0.0.1:{free_port()}"
    facts = {"owner": alice, "mode": "sbs", "title": "Snow"}
    over = {"finished_at": now(), "total_segments": 1}
    done = Job.objects.create(**facts, **over, status=Job.Status.COMPLETED)
    storage.result().save(done.final_key, ContentFile(b"final"))
    storage.result().save(str(SubtitleKey(done.pk, 1)), ContentFile(b"WEBVTT"))
    storage.source().save(done.source_key, ContentFile(b"source"))
    fresh = Job.objects.create(**facts)
    token, _ = tokens.make(alice, "a program", None)
    kinds = ["job.failed"]
    hook, browser = (
        Subscription.objects.create(
            owner=alice,
            channel=channel,
            target=f"https://{channel}.example/",
            kinds=kinds,
            details={"salt": "salt"},
        )
        for channel in ("webhook", "push")
    )
    return World(
        people={
            "nobody": None,
            "stranger": charlie,
            "owner": alice,
            "staff": admin_user,
        },
        jobs={"running": job, "done": done, "fresh": fresh},
        ids={
            "token_id": str(token.pk),
            "webhook_id": str(hook.pk),
            "browser_id": str(browser.pk),
            "token": "forged",
            "name": "Rain.mp4",
            "kind": "film",
            "number": "1",
            "page": "tasks",
        },
    )


def test_every_address_has_its_line_in_the_table():
    assert set(OTHERS) - set(TABLE) == set()
    assert set(TABLE) - set(OTHERS) == set()


RULES = [(address, rule) for address, rules in TABLE.items() for rule in rules]
NAMES = [f"{rule.method} {address or '/'} {rule.job}" for address, rule in RULES]


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "rule"), RULES, ids=NAMES)
def test_everybody_is_answered_as_the_table_says(world, address, rule):
    given = tuple(world.answer(person, address, rule) for person in PEOPLE)

    assert dict(zip(PEOPLE, given, strict=True)) == dict(
        zip(PEOPLE, rule.answers, strict=True)
    )


CHANGING = [each for each in RULES if each[1].method != "GET" and each[1].guarded]


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "rule"), CHANGING, ids=[a for a, _ in CHANGING])
def test_no_other_site_makes_a_browser_change_something(world, address, rule):
    assert world.answer("owner", address, rule, enforce_csrf_checks=True) == 403


@pytest.mark.django_db
@pytest.mark.parametrize("address", OF_ADMIN)
def test_the_admin_is_for_staff_alone(world, address):
    ids = {
        "object_id": str(world.jobs["running"].pk),
        "content_type_id": "1",
        "id": str(world.people["owner"].pk),
        "app_label": "jobs",
        "url": "nowhere/",
    }
    world.ids |= ids
    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", address)
    for person in ("nobody", "stranger"):
        for method in ("GET", "POST"):
            rule = Rule((302, 302, 302, 302), method=method)
            url = world.url(path, rule)
            client = world.client(person, rule)
            response = getattr(client, method.lower())(url, follow=True)
            last = response.redirect_chain[-1][0] if response.redirect_chain else url
            is_refused = response.status_code in (403, 404, 405)
            is_sign_in = last.startswith("/login/")
            assert is_refused or is_sign_in, (person, method, response.status_code)


@pytest.mark.django_db
def test_staff_gets_into_the_admin(world):
    assert world.answer("staff", ADMIN, page()) == 200
