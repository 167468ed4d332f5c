"""The song card: what answers a recording without being told, and its answers as text, sound and picture."""
