"""Public images as a catalogue for others: simplestreams, and a metalink for each image."""
