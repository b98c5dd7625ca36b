"""`fieldgate bench`: how fast it is, beside references measured in the same run."""
