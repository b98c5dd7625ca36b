"""What the panel shows: everything the page needs, in one value."""

from __future__ import annotations

from edge.order import Order
from edge.orders import PERSONAL, Orders
from edge.requests import Device, alarm_shown, report_shown

ALARMS, REPORTS, READ = 16, 16, 16  # the newest


def view(device: Device) -> dict[str, object]:
    """The state of the device as the page draws it. A silent alarm is not shown: whoever it is
    about may stand before the screen."""
    alarms = [track for track in device.alarms() if not track.is_silent]
    return {
        "status": device.status(),
        "orders": [order.shown() for order in _orders(device.orders)],
        "reports": [report_shown(track) for track in device.reports()[-REPORTS:]],
        "alarms": [alarm_shown(track) for track in alarms[-ALARMS:]],
    }


def _orders(orders: Orders) -> list[Order]:
    """Those for the crew that are open, and the messages that it has read last."""
    held = [order for order in orders.held() if order.act in PERSONAL]
    read = [order for order in held if order.act == "text" and not order.is_open][-READ:]
    return [order for order in held if order.is_open or order in read]
