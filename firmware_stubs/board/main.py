"""What a board runs after its start."""

import alarm_box.__main__  # noqa: F401
