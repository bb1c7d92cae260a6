"""Clips, pictures and numbers of a drive with what the network saw and wanted."""
