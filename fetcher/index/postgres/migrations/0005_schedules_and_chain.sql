-- Images that are kept new, signed statements on images, a chained audit trail, images that went to a target.

CREATE TABLE schedules (
    id text COLLATE "C" PRIMARY KEY,
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    rules text COLLATE "C" NOT NULL,
    progress text COLLATE "C" NOT NULL,
    next_at text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL
);

CREATE INDEX schedules_by_turn ON schedules (next_at);
CREATE INDEX schedules_by_project ON schedules (project_id, created_at);

CREATE TABLE schedule_images (
    image_id text COLLATE "C" PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    schedule_id text COLLATE "C" NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    serial text COLLATE "C" NOT NULL,
    at text COLLATE "C" NOT NULL
);

CREATE INDEX schedule_images_by_schedule ON schedule_images (schedule_id, at);

CREATE TABLE attestations (
    image_id text COLLATE "C" PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    key_id text COLLATE "C",
    envelope text COLLATE "C",
    created_at text COLLATE "C"
);

CREATE INDEX attestations_to_sign ON attestations (image_id) WHERE envelope IS NULL;

CREATE FUNCTION attestations_of_stories() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attestations (image_id) VALUES (NEW.image_id)
    ON CONFLICT (image_id) DO UPDATE SET key_id = NULL, envelope = NULL, created_at = NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER attestations_of_stories AFTER INSERT OR UPDATE ON provenance FOR EACH ROW
    EXECUTE FUNCTION attestations_of_stories();

INSERT INTO attestations (image_id) SELECT image_id FROM provenance;

-- A line is numbered by who writes it, behind the last one: a sequence leaves gaps, and a gap is a line that is missing.
ALTER TABLE audit ALTER COLUMN id DROP IDENTITY;
ALTER TABLE audit ADD COLUMN hash text COLLATE "C";

CREATE TABLE audit_anchor (
    id integer PRIMARY KEY CHECK (id = 1),
    audit_id bigint NOT NULL,
    hash text COLLATE "C" NOT NULL
);

ALTER TABLE import_secrets ADD COLUMN target_token text COLLATE "C";
ALTER TABLE imports ADD COLUMN delivery text COLLATE "C";

CREATE TABLE deliveries (
    import_id text COLLATE "C" PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
    document text COLLATE "C" NOT NULL
);
