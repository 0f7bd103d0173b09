-- Which hosts there are: each writes that it lives, for a lease by the database's own clock.
CREATE TABLE hosts (
    name text COLLATE "C" PRIMARY KEY,
    start text COLLATE "C" NOT NULL,
    roles text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    running bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL
);

-- The pulls that run, over all hosts. A request that others may join stands here once.
CREATE TABLE places (
    id text COLLATE "C" PRIMARY KEY,
    host text COLLATE "C" NOT NULL REFERENCES hosts (name) ON DELETE CASCADE,
    request text COLLATE "C",
    project_id text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX places_open ON places (request) WHERE request IS NOT NULL;
CREATE INDEX places_by_host ON places (host);

-- What one host does for all of them.
CREATE TABLE chores (
    name text COLLATE "C" PRIMARY KEY,
    host text COLLATE "C" NOT NULL,
    lease_until timestamptz NOT NULL
);

-- Whose they are: staged bytes lie at a host, and an export is sent by one.
ALTER TABLE pulls ADD COLUMN host text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE exports ADD COLUMN host text COLLATE "C" NOT NULL DEFAULT '';

CREATE FUNCTION is_alive(host_name text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT 1 FROM hosts WHERE name = host_name AND lease_until > clock_timestamp())
$$;

-- Every host hears of each change of state when its transaction has counted, and of nothing else.
CREATE FUNCTION tell_of_imports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fetcher', 'import ' || NEW.id || ' ' || NEW.state || ' ' || NEW.claim);
    RETURN NULL;
END $$;

CREATE TRIGGER tell_of_new_imports AFTER INSERT ON imports
    FOR EACH ROW EXECUTE FUNCTION tell_of_imports();
CREATE TRIGGER tell_of_imports AFTER UPDATE OF state ON imports
    FOR EACH ROW EXECUTE FUNCTION tell_of_imports();

CREATE FUNCTION tell_of_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fetcher', 'export ' || NEW.id || ' ' || NEW.state || ' ' || NEW.claim);
    RETURN NULL;
END $$;

CREATE TRIGGER tell_of_new_exports AFTER INSERT ON exports
    FOR EACH ROW EXECUTE FUNCTION tell_of_exports();
CREATE TRIGGER tell_of_exports AFTER UPDATE OF state ON exports
    FOR EACH ROW EXECUTE FUNCTION tell_of_exports();

CREATE FUNCTION tell_of_places() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fetcher', 'places');
    RETURN NULL;
END $$;

CREATE TRIGGER tell_of_places AFTER INSERT OR DELETE OR UPDATE ON places
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_places();
