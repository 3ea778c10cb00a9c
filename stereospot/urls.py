from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path

from apps.jobs.admin.fleet import fleet_page
from apps.jobs.api.site import patterns as api_addresses
from apps.jobs.views.sign_in import SignIn, sign_in_to_admin


def icon(request: HttpRequest) -> HttpResponse:
    """For pages that name none, as the admin's."""
    return redirect(static("jobs/icon.svg"))


urlpatterns = [
    path("", include("apps.jobs.urls")),
    path("", include("apps.monitoring.urls")),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("favicon.ico", icon, name="icon"),
    path("admin/login/", sign_in_to_admin),
    path("api/v1/", include((api_addresses(), "api"))),
    path("admin/fleet/", fleet_page, name="fleet"),
    path("admin/", admin.site.urls),
]
handler400 = "apps.jobs.views.errors.bad_request"
