"""Where events go out: one sink, one file, one test."""
