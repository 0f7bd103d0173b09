-- Add what the signature on the checksum file was worth.

ALTER TABLE imports ADD COLUMN sums_signature TEXT;
