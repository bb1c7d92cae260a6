"""Live cameras: capture with a watchdog, measured angles, recording, the headless loop."""
