"""The player and its threads: playback of a recording, a camera as it runs."""
