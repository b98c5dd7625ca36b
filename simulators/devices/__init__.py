"""Simulated devices, light and full."""
