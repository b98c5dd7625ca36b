"""What is frozen into the board's firmware: FROZEN_MANIFEST=…/alarm_box/manifest.py"""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821  names of MicroPython's build
package("alarm_box", base_path="..", opt=2)  # noqa: F821
module("main.py", base_path="../board", opt=2)  # noqa: F821
