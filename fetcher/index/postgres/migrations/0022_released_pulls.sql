-- The host that has stopped a pull and kept its bytes, for as long as nobody goes on with it: any host may then.
ALTER TABLE pulls ADD COLUMN released_by text COLLATE "C";
