"""Bytes to meaning and back. Pure: no input or output, no clock, no randomness."""
