-- What an import writes: images without bytes are not looked for by them, and whoever counts unfinished imports by
-- their state reads the index that they are taken up by.
-- In the order in which an import that ends takes them: it may end while this waits.
LOCK TABLE imports, images IN ACCESS EXCLUSIVE MODE;
DROP INDEX images_by_blob;
CREATE INDEX images_by_blob ON images (sha256) WHERE sha256 IS NOT NULL;
DROP INDEX imports_waiting;
DROP INDEX imports_unfinished;
CREATE INDEX imports_unfinished ON imports (created_at, id) INCLUDE (state, ended_at) WHERE ended_at IS NULL;
