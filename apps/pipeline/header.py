"""What a chord's header and body are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from celery import maybe_signature
from celery.result import GroupResult


def takes_results(body: Any) -> bool:
    """Whether anything that the body starts with looks at the header's results."""
    if body.subtask_type not in {"chain", "group", "chord"}:
        return not body.immutable
    first = body.tasks[:1] if body.subtask_type == "chain" else body.tasks
    return any(takes_results(maybe_signature(task)) for task in first)


def ids(results: Iterable[Any]) -> list[Any]:
    """Task ids, nested as the groups among the results are."""
    return [
        ids(result.results or []) if isinstance(result, GroupResult) else result.id
        for result in results
    ]


def leaves(nested: Iterable[Any]) -> Iterator[str]:
    for entry in nested:
        if isinstance(entry, list):
            yield from leaves(entry)
        else:
            yield entry


def with_results(nested: Iterable[Any], results: Mapping[str, Any]) -> list[Any]:
    """The results in the places of their ids; `KeyError` if one is missing."""
    return [
        with_results(entry, results) if isinstance(entry, list) else results[entry]
        for entry in nested
    ]
