"""What is public here as a catalogue for others: simplestreams, and a metalink for each image."""
