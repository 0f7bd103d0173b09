-- How an export is to be sent, what was read back, what only its run may know, and how far it is with a receiver.

ALTER TABLE exports ADD COLUMN options text COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE exports ADD COLUMN read_back text COLLATE "C";
ALTER TABLE export_secrets ADD COLUMN access text COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE export_secrets ADD COLUMN resume text COLLATE "C" NOT NULL DEFAULT '{}';
