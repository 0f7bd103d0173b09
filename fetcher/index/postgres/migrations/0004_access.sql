-- What opens a source beside headers: credentials of buckets, client certificates.

ALTER TABLE import_secrets ADD COLUMN access text COLLATE "C" NOT NULL DEFAULT '{}';
