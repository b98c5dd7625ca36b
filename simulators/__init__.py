"""Stand-ins for devices, for a city and for the dispatch core."""
