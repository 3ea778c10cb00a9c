from __future__ import annotations

from django.urls import path

from apps.monitoring.views import flower, ready

urlpatterns = [
    path("readyz", ready.show, name="ready"),
    path("flower/", flower.show, name="flower"),
    path("flower/<path:page>", flower.show, name="flower-page"),
]
