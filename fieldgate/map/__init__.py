"""Making the base map: layers to draw, and the road graph to drive on."""
