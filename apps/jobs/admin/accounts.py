"""Quotas of single persons, and what they have used of them."""

from __future__ import annotations

from django.contrib import admin

from apps.jobs import ledger
from apps.jobs.models import Account


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin[Account]):
    list_display = ("user", "films_at_once", "minutes_a_month", "used")
    list_select_related = ("user",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("user__username",)
    search_help_text = "Name"
    autocomplete_fields = ("user",)
    fields = ("user", "films_at_once", "minutes_a_month")

    @admin.display(description="Used")
    def used(self, account: Account) -> str:
        quota = ledger.quota_of(account.user)
        return f"{quota.films} in work, {quota.seconds / 60:.0f} min this month"
