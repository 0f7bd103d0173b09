-- Who runs an import, and until when nobody else takes it up.

ALTER TABLE imports ADD COLUMN worker TEXT;

ALTER TABLE imports ADD COLUMN lease_until TEXT;
