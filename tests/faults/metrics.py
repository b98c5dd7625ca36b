"""What does the gateway's /metrics say?"""

from __future__ import annotations

import asyncio
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.parts import Gateway


async def metrics(gateway: Gateway) -> dict[str, float]:
    """Every figure by its name, with its labels as Prometheus writes them; OSError if none."""
    text = await asyncio.to_thread(_get, f"{gateway.url}/metrics")
    return {
        _name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def metric(gateway: Gateway, name: str) -> float:
    """One figure over all its labels; 0 where there is none, NaN where nobody answers."""
    try:
        figures = await metrics(gateway)
    except OSError:
        return float("nan")
    return sum(value for key, value in figures.items() if key.partition("{")[0] == name)


def _name(name: str, labels: dict[str, str]) -> str:
    text = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{text}}}" if text else name


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text
