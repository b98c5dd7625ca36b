"""The agent on a device: sources, spool, link."""
