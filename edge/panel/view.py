"""What the panel shows: everything the page needs, in one value."""

from __future__ import annotations

from edge.orders import PERSONAL
from edge.requests import Device, alarm_shown, report_shown

ALARMS, REPORTS = 16, 16  # the newest


def view(device: Device) -> dict[str, object]:
    """The state of the device as the page draws it. A silent alarm is not shown: whoever it is
    about may stand before the screen."""
    alarms = [track for track in device.alarms() if not track.is_silent]
    return {
        "status": device.status(),
        "orders": [order.shown() for order in device.orders.held() if order.act in PERSONAL],
        "reports": [report_shown(track) for track in device.reports()[-REPORTS:]],
        "alarms": [alarm_shown(track) for track in alarms[-ALARMS:]],
    }
