"""Speech: audio files in and out, an engine that hears in a child process, and programs that speak."""
