"""What we know of images and imports; the one room that knows SQLite."""
