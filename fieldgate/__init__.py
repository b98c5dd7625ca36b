"""The `fieldgate` command and client."""
