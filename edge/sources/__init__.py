"""Where a device finds what it reports: one source, one file."""
