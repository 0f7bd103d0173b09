-- Add where the signature on a checksum file is.

ALTER TABLE import_secrets ADD COLUMN checksum_signature_url TEXT;
