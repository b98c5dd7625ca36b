"""What is frozen into the board's firmware, by ../board/mpconfigboard.cmake."""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821  names of MicroPython's build
package("alarm_box", base_path="..", opt=2)  # noqa: F821
module("main.py", base_path="../board", opt=2)  # noqa: F821
