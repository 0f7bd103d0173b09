-- Retired ids have an age, and a faulty blob says why it could not be brought back.

ALTER TABLE blobs ADD COLUMN note TEXT;

ALTER TABLE retired_images ADD COLUMN at TEXT;

UPDATE retired_images SET at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');

CREATE INDEX retired_images_by_age ON retired_images (at);
