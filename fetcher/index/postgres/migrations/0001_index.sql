-- All tables, as those of SQLite have become: columns, moments and documents as text are the same in both.

CREATE FUNCTION moment_now() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Seconds since 1970 of a moment as text.
CREATE FUNCTION moment_seconds(moment text) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT extract(epoch FROM moment::timestamptz)::double precision
$$;

CREATE TABLE blobs (
    sha256 text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    virtual_bytes bigint,
    md5 text COLLATE "C",
    sha512 text COLLATE "C",
    digests text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    checked_at text COLLATE "C",
    fault text COLLATE "C",
    note text COLLATE "C"
);

CREATE INDEX blobs_by_md5 ON blobs (md5);
CREATE INDEX blobs_by_sha512 ON blobs (sha512);
CREATE INDEX blobs_by_check ON blobs (coalesce(checked_at, created_at));
CREATE INDEX blobs_faulty ON blobs (sha256) WHERE fault IS NOT NULL;

CREATE TABLE images (
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text COLLATE "C" PRIMARY KEY,
    project_id text COLLATE "C" NOT NULL,
    name text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    visibility text COLLATE "C" NOT NULL,
    is_protected integer NOT NULL DEFAULT 0,
    is_hidden integer NOT NULL DEFAULT 0,
    disk_format text COLLATE "C",
    container_format text COLLATE "C",
    size bigint,
    virtual_size bigint,
    sha256 text COLLATE "C" REFERENCES blobs (sha256),
    min_disk bigint NOT NULL DEFAULT 0,
    min_ram bigint NOT NULL DEFAULT 0,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    text_bytes bigint NOT NULL DEFAULT 0
);

CREATE INDEX images_by_project ON images (project_id, created_at, id);
CREATE INDEX images_by_age ON images (created_at, id);
CREATE INDEX images_by_visibility ON images (visibility, created_at, id);
CREATE INDEX images_by_blob ON images (sha256);
CREATE INDEX images_by_name ON images (coalesce(name, ''), number);
CREATE INDEX images_by_size ON images (coalesce(size, -1), number);
CREATE INDEX images_hidden ON images (id) WHERE is_hidden = 1;
CREATE INDEX images_by_change ON images (updated_at, number);
CREATE INDEX images_by_status ON images (status, number);
CREATE INDEX images_by_disk_format ON images (coalesce(disk_format, ''), number);
CREATE INDEX images_by_container_format ON images (coalesce(container_format, ''), number);
CREATE INDEX images_of_project_by_name ON images (project_id, coalesce(name, ''), number);
CREATE INDEX images_of_project_by_size ON images (project_id, coalesce(size, -1), number);
CREATE INDEX images_of_project_by_change ON images (project_id, updated_at, number);

CREATE TABLE image_tags (
    image_id text COLLATE "C" NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    tag text COLLATE "C" NOT NULL,
    PRIMARY KEY (image_id, tag)
);

CREATE INDEX image_tags_by_tag ON image_tags (tag, image_id);

CREATE TABLE image_properties (
    image_id text COLLATE "C" NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (image_id, name)
);

-- A value may be longer than an entry of an index: its digest stands for it.
CREATE INDEX image_properties_by_value ON image_properties (name, md5(value));

CREATE TABLE image_members (
    image_id text COLLATE "C" NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    image_created_at text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    PRIMARY KEY (image_id, member_id)
);

CREATE INDEX image_members_by_member ON image_members (member_id, status, image_created_at, image_id);

CREATE TABLE image_stages (
    image_id text COLLATE "C" PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    sha256 text COLLATE "C" NOT NULL REFERENCES blobs (sha256),
    format text COLLATE "C",
    project_id text COLLATE "C" NOT NULL,
    size bigint NOT NULL
);

CREATE INDEX image_stages_by_blob ON image_stages (sha256);

CREATE TABLE retired_images (id text COLLATE "C" PRIMARY KEY, at text COLLATE "C" NOT NULL);

CREATE INDEX retired_images_by_age ON retired_images (at);

CREATE TABLE imports (
    id text COLLATE "C" PRIMARY KEY,
    image_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    phase text COLLATE "C",
    code text COLLATE "C",
    claim bigint NOT NULL DEFAULT 0,
    owns_image integer NOT NULL,
    received_bytes bigint NOT NULL DEFAULT 0,
    expected_bytes bigint,
    bytes_per_second double precision,
    submission text COLLATE "C" NOT NULL,
    attempts text COLLATE "C" NOT NULL DEFAULT '[]',
    format text COLLATE "C",
    digests text COLLATE "C" NOT NULL DEFAULT '{}',
    verified_by text COLLATE "C" NOT NULL DEFAULT 'none',
    sums_signature text COLLATE "C",
    length_verified integer,
    stages text COLLATE "C" NOT NULL DEFAULT '{}',
    verdict text COLLATE "C",
    notice text COLLATE "C",
    request_id text COLLATE "C",
    worker text COLLATE "C",
    lease_until timestamptz,
    created_at text COLLATE "C" NOT NULL,
    started_at text COLLATE "C",
    updated_at text COLLATE "C" NOT NULL,
    ended_at text COLLATE "C"
);

CREATE INDEX imports_by_project ON imports (project_id, created_at, id);
CREATE INDEX imports_by_age ON imports (created_at, id);
CREATE INDEX imports_by_image ON imports (image_id, created_at);
CREATE INDEX imports_unfinished ON imports (created_at, id) WHERE ended_at IS NULL;
CREATE INDEX imports_waiting ON imports (state) WHERE ended_at IS NULL;
CREATE INDEX imports_ended ON imports (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE import_secrets (
    import_id text COLLATE "C" PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
    url text COLLATE "C" NOT NULL,
    headers text COLLATE "C" NOT NULL,
    mirrors text COLLATE "C" NOT NULL,
    checksum_url text COLLATE "C",
    checksum_signature_url text COLLATE "C"
);

CREATE TABLE idempotency_keys (
    project_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    import_id text COLLATE "C" NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    created_at text COLLATE "C" NOT NULL DEFAULT moment_now(),
    PRIMARY KEY (project_id, key)
);

CREATE INDEX idempotency_keys_by_import ON idempotency_keys (import_id);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE provenance (
    image_id text COLLATE "C" PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    import_id text COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL
);

CREATE INDEX provenance_by_import ON provenance (import_id);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    import_id text COLLATE "C",
    image_id text COLLATE "C",
    url text COLLATE "C",
    code text COLLATE "C",
    detail text COLLATE "C" NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_by_age ON audit (at);
CREATE INDEX audit_by_import ON audit (import_id);

CREATE TABLE notices (
    import_id text COLLATE "C" PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
    project_id text COLLATE "C" NOT NULL,
    url text COLLATE "C",
    secret text COLLATE "C",
    due_at text COLLATE "C"
);

CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE pulls (
    id text COLLATE "C" PRIMARY KEY,
    request text COLLATE "C" NOT NULL,
    staged text COLLATE "C" NOT NULL,
    source bigint NOT NULL,
    validator text COLLATE "C",
    declared_bytes bigint,
    kept_bytes bigint NOT NULL,
    kept_sha256 text COLLATE "C" NOT NULL,
    spent_bytes bigint NOT NULL,
    spent_seconds double precision NOT NULL,
    barren bigint NOT NULL
);

CREATE TABLE remembered_urls (
    project_id text COLLATE "C" NOT NULL,
    request text COLLATE "C" NOT NULL,
    etag text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL REFERENCES blobs (sha256) ON DELETE CASCADE,
    at text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, request)
);

CREATE INDEX remembered_urls_by_request ON remembered_urls (request);
CREATE INDEX remembered_urls_by_blob ON remembered_urls (sha256);
CREATE INDEX remembered_urls_by_age ON remembered_urls (at);

CREATE TABLE loose_files (sha256 text COLLATE "C" PRIMARY KEY, noted_at text COLLATE "C" NOT NULL);

CREATE TABLE metadef_namespaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL UNIQUE,
    display_name text COLLATE "C",
    description text COLLATE "C",
    visibility text COLLATE "C" NOT NULL,
    is_protected integer NOT NULL,
    owner text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL
);

CREATE TABLE metadef_items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id bigint NOT NULL REFERENCES metadef_namespaces (id) ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    UNIQUE (namespace_id, kind, name)
);

CREATE INDEX metadef_items_by_name ON metadef_items (kind, name);

CREATE TABLE metadef_resource_types (
    name text COLLATE "C" PRIMARY KEY,
    is_known integer NOT NULL,
    created_at text COLLATE "C" NOT NULL
);

INSERT INTO metadef_resource_types (name, is_known, created_at) VALUES
    ('OS::Glance::Image', 1, moment_now()),
    ('OS::Cinder::Volume', 1, moment_now()),
    ('OS::Nova::Flavor', 1, moment_now()),
    ('OS::Nova::Aggregate', 1, moment_now()),
    ('OS::Nova::Server', 1, moment_now());

-- What each project holds, exact inside every transaction: a row is locked by whoever changes it, until the end.
CREATE TABLE usage (
    project_id text COLLATE "C" PRIMARY KEY,
    images bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    held_bytes bigint NOT NULL DEFAULT 0,
    text_bytes bigint NOT NULL DEFAULT 0
);

CREATE FUNCTION count_usage(project text, images_more bigint, bytes_more bigint, held_more bigint, text_more bigint)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO usage AS u (project_id, images, bytes, held_bytes, text_bytes)
    VALUES (project, images_more, bytes_more, held_more, text_more)
    ON CONFLICT (project_id) DO UPDATE SET
        images = u.images + excluded.images, bytes = u.bytes + excluded.bytes,
        held_bytes = u.held_bytes + excluded.held_bytes, text_bytes = u.text_bytes + excluded.text_bytes
$$;

CREATE FUNCTION usage_of_images() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM count_usage(OLD.project_id, -1, -coalesce(OLD.size, 0), 0, -OLD.text_bytes);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM count_usage(NEW.project_id, 1, coalesce(NEW.size, 0), 0, NEW.text_bytes);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER usage_of_images AFTER INSERT OR DELETE OR UPDATE OF size, project_id, text_bytes ON images
    FOR EACH ROW EXECUTE FUNCTION usage_of_images();

CREATE FUNCTION usage_of_stages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT project_id INTO NEW.project_id FROM images WHERE images.id = NEW.image_id;
        SELECT size INTO NEW.size FROM blobs WHERE blobs.sha256 = NEW.sha256;
        PERFORM count_usage(NEW.project_id, 0, NEW.size, 0, 0);
        RETURN NEW;
    END IF;
    PERFORM count_usage(OLD.project_id, 0, -OLD.size, 0, 0);
    RETURN OLD;
END $$;

CREATE TRIGGER usage_of_stages BEFORE INSERT OR DELETE ON image_stages
    FOR EACH ROW EXECUTE FUNCTION usage_of_stages();

CREATE FUNCTION held(import imports) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN import.ended_at IS NULL
        THEN greatest(coalesce(import.expected_bytes, 0), import.received_bytes) ELSE 0 END
$$;

CREATE FUNCTION usage_of_imports() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE held(OLD) END;
    after bigint := CASE WHEN TG_OP = 'DELETE' THEN 0 ELSE held(NEW) END;
BEGIN
    IF after <> before THEN
        PERFORM count_usage(coalesce(NEW.project_id, OLD.project_id), 0, 0, after - before, 0);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER usage_of_imports AFTER INSERT OR DELETE OR UPDATE OF expected_bytes, received_bytes, ended_at ON imports
    FOR EACH ROW EXECUTE FUNCTION usage_of_imports();

-- Which projects a transaction writes for, with what they held before: read at its end, where quotas are judged.
CREATE FUNCTION note_growth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    grown jsonb := coalesce(nullif(current_setting('fetcher.grown', true), ''), '{}');
BEGIN
    IF NOT grown ? NEW.project_id THEN
        grown := grown || jsonb_build_object(NEW.project_id, CASE WHEN TG_OP = 'INSERT' THEN '[0, 0, 0]'::jsonb
            ELSE jsonb_build_array(OLD.images, OLD.bytes + OLD.held_bytes, OLD.text_bytes) END);
        PERFORM set_config('fetcher.grown', grown::text, true);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER note_growth AFTER INSERT OR UPDATE ON usage FOR EACH ROW EXECUTE FUNCTION note_growth();

CREATE FUNCTION note_begun() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fetcher.begun',
        (coalesce(nullif(current_setting('fetcher.begun', true), ''), '{}')::jsonb
            || jsonb_build_object(NEW.project_id, true))::text, true);
    RETURN NULL;
END $$;

CREATE TRIGGER note_new_images AFTER INSERT ON images FOR EACH ROW
    WHEN (NEW.status IN ('importing', 'saving', 'uploading')) EXECUTE FUNCTION note_begun();
CREATE TRIGGER note_begun_images AFTER UPDATE OF status ON images FOR EACH ROW
    WHEN (NEW.status IN ('importing', 'saving', 'uploading') AND OLD.status NOT IN ('importing', 'saving', 'uploading'))
    EXECUTE FUNCTION note_begun();
CREATE TRIGGER note_stages AFTER INSERT ON image_stages FOR EACH ROW EXECUTE FUNCTION note_begun();

-- A file that may stand in the store without a row is noted in the transaction before it appears.
CREATE FUNCTION note_loose(name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO loose_files (sha256, noted_at) VALUES (name, moment_now())
    ON CONFLICT (sha256) DO UPDATE SET noted_at = excluded.noted_at
$$;

CREATE FUNCTION loose_before_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := NEW.digests::jsonb ->> 'sha256';
BEGIN
    IF name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE sha256 = name) THEN
        PERFORM note_loose(name);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER loose_before_commit AFTER UPDATE OF phase ON imports FOR EACH ROW
    WHEN (NEW.phase = 'committing') EXECUTE FUNCTION loose_before_commit();

CREATE FUNCTION loose_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM note_loose(OLD.sha256);
    ELSE
        DELETE FROM loose_files WHERE sha256 = NEW.sha256;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER loose_blobs AFTER INSERT OR DELETE ON blobs FOR EACH ROW EXECUTE FUNCTION loose_blobs();

-- The end of an import makes its notice due, and drops the text of a long submission.
CREATE FUNCTION end_of_imports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.notice IS NOT NULL THEN
        UPDATE notices SET due_at = NEW.ended_at WHERE import_id = NEW.id;
    END IF;
    IF length(NEW.submission) > 4096 THEN
        UPDATE imports SET submission = (submission::jsonb
            || '{"properties": {}, "headers": {}, "tags": [], "mirrors": []}')::text WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER end_of_imports AFTER UPDATE OF ended_at ON imports FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION end_of_imports();
