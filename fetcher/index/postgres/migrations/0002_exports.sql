-- Images on their way to receivers, and what only their runs may know.

CREATE TABLE exports (
    id text COLLATE "C" PRIMARY KEY,
    image_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    receiver text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    sha256 text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    claim bigint NOT NULL,
    sent_bytes bigint NOT NULL,
    attempts text COLLATE "C" NOT NULL,
    answer text COLLATE "C" NOT NULL,
    verdict text COLLATE "C",
    request_id text COLLATE "C",
    created_at text COLLATE "C" NOT NULL,
    started_at text COLLATE "C",
    updated_at text COLLATE "C" NOT NULL,
    ended_at text COLLATE "C"
);

CREATE INDEX exports_by_project ON exports (project_id, created_at, id);
CREATE INDEX exports_by_age ON exports (created_at, id);
CREATE INDEX exports_unfinished ON exports (created_at, id) WHERE ended_at IS NULL;
CREATE INDEX exports_ended ON exports (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE export_secrets (
    export_id text COLLATE "C" PRIMARY KEY REFERENCES exports (id) ON DELETE CASCADE,
    url text COLLATE "C" NOT NULL,
    headers text COLLATE "C" NOT NULL
);

CREATE FUNCTION end_of_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM export_secrets WHERE export_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER end_of_exports AFTER UPDATE OF ended_at ON exports FOR EACH ROW
    WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION end_of_exports();
