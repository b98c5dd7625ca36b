"""HTTP for operators and systems."""
