"""Do the files in deploy/ know the gateway: its metrics, in rules that Prometheus takes?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.metrics import Metrics
from tests.architecture.test_docs import metric_names

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/fieldgate.rules.yml"
DASHBOARD = DEPLOY / "grafana/fieldgate.json"


def alerts() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """All panels that draw something."""
    page = json.loads(DASHBOARD.read_text())
    return [panel for panel in page["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """All that Prometheus is asked, by either file."""
    asked = [rule["expr"] for rule in alerts()]
    return asked + [target["expr"] for panel in panels() for target in panel["targets"]]


def test_each_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) > 15
    for rule in alerts():
        assert set(rule["annotations"]) == {"summary", "do"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize("expression", expressions())
def test_what_is_asked_for_exists(expression: str) -> None:
    histograms = {f.name for f in Metrics().registry.collect() if f.type == "histogram"}
    known = metric_names() - histograms | {f"{name}_bucket" for name in histograms}
    asked = set(re.findall(r"\bfieldgate_\w+", expression))
    assert asked <= known
    assert asked or "up{" in expression


def test_all_that_is_measured_is_drawn() -> None:
    drawn = {
        name.removesuffix("_bucket")
        for panel in panels()
        for target in panel["targets"]
        for name in re.findall(r"\bfieldgate_\w+", target["expr"])
    }
    assert drawn == metric_names()


def test_panels_are_told_apart() -> None:
    page = json.loads(DASHBOARD.read_text())
    numbers = [panel["id"] for panel in page["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    text = [re.sub(r"\$__rate_interval", "5m", each) for each in asked]
    records = [{"record": f"drawn:{n}", "expr": each} for n, each in enumerate(text)]
    drawn = tmp_path / "drawn.yml"
    drawn.write_text(json.dumps({"groups": [{"name": "drawn", "rules": records}]}))
    for path in (RULES, drawn):
        checked = subprocess.run(
            ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
