-- What an import writes: in rising order, new rows go to an index's last page, which SQLite splits without halving it;
-- a page of the newest reads it backwards. Images without bytes are not looked for by them. Whoever counts unfinished
-- imports by their state reads the index that they are taken up by.

DROP INDEX images_by_project;

CREATE INDEX images_by_project ON images (project_id, created_at, id);

DROP INDEX images_by_age;

CREATE INDEX images_by_age ON images (created_at, id);

DROP INDEX images_by_visibility;

CREATE INDEX images_by_visibility ON images (visibility, created_at, id);

DROP INDEX images_by_blob;

CREATE INDEX images_by_blob ON images (sha256) WHERE sha256 IS NOT NULL;

DROP INDEX imports_by_project;

CREATE INDEX imports_by_project ON imports (project_id, created_at, id);

DROP INDEX imports_by_age;

CREATE INDEX imports_by_age ON imports (created_at, id);

DROP INDEX imports_waiting;

DROP INDEX imports_unfinished;

CREATE INDEX imports_unfinished ON imports (created_at, id, state, ended_at) WHERE ended_at IS NULL;
