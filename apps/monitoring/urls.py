from __future__ import annotations

from django.urls import path

from apps.monitoring.views import flower, metrics, ready

urlpatterns = [
    path("metrics", metrics.show, name="metrics"),
    path("readyz", ready.show, name="ready"),
    path("flower/", flower.show, name="flower"),
    path("flower/<path:page>", flower.show, name="flower-page"),
]
