-- How an export is to be sent, what was read back, what only its run may know, and how far it is with a receiver.

ALTER TABLE exports ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
ALTER TABLE exports ADD COLUMN read_back TEXT;
ALTER TABLE export_secrets ADD COLUMN access TEXT NOT NULL DEFAULT '{}';
ALTER TABLE export_secrets ADD COLUMN resume TEXT NOT NULL DEFAULT '{}';
