"""Reports on what the journal holds."""
