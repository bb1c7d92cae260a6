"""Drives by the thousand: indexed once, in pieces, by as many processes and machines as there are, and then asked."""
