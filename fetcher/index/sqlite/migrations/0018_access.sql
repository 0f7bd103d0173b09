-- Add what opens a source beside headers: credentials of buckets, client certificates.

ALTER TABLE import_secrets ADD COLUMN access TEXT NOT NULL DEFAULT '{}';
