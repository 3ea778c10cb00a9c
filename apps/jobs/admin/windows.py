"""What every page of the admin has in common: it looks, and tells what it did."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib import messages as notices
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

SHOWN = 1000
"""Rows that a list can be turned through; whoever wants older ones narrows it down."""


class ReadOnly:
    """Nothing is added, changed or deleted here: the ledger's rules would not hold."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class NewestOnly(Paginator[Any]):
    """Pages of the first `SHOWN` rows, for which nobody counts all that there are."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Any], self.object_list)
        return len(rows.values_list("pk")[:SHOWN])


def may_work(window: admin.ModelAdmin[Any], request: HttpRequest) -> bool:
    """Whether the person may use the actions; looking takes less."""
    options = window.opts
    return request.user.has_perm(f"{options.app_label}.change_{options.model_name}")


def tell(
    window: admin.ModelAdmin[Any], request: HttpRequest, number: int, what: str
) -> None:
    """`3 jobs cancelled; the others were over.`"""
    options = window.opts
    name = options.verbose_name if number == 1 else options.verbose_name_plural
    level = notices.SUCCESS if number else notices.WARNING
    window.message_user(request, f"{number} {name} {what}.", level)
