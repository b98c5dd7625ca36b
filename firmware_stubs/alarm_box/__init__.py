"""The one-button alarm box: MicroPython for an ESP32 board, and for MicroPython's Unix port."""
