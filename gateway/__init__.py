"""Receives from the field, keeps, knows, feeds the dispatch core."""
