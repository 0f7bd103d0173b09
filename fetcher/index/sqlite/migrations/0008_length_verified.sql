-- Add whether a source said where its body ends.

ALTER TABLE imports ADD COLUMN length_verified INTEGER;
