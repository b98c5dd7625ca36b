"""The touch panel: a page that the agent serves to the screen of its own device."""
