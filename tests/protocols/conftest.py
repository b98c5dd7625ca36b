"""How hypothesis runs here: without a deadline for each example, since machines are shared."""

from hypothesis import settings

settings.register_profile("shared machine", deadline=None, max_examples=60)
settings.load_profile("shared machine")
