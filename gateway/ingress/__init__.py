"""Where bytes come in."""
