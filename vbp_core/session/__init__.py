"""What a person says about a recording: the session's document, and notes on frames, as plain data in files."""
