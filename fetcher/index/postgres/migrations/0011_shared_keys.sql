-- Keys that every host must have: forms and links that one host signed are taken by all.
CREATE TABLE shared_keys (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
