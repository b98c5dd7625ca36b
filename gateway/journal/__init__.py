"""Keeps every event durably, in order."""
