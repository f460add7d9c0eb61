"""What the hub does by itself, when it is time: it tells people what they asked to be told, and in sum."""
