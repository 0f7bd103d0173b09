-- The number and bytes of the exports that each project has made since a moment of yesterday: a submission reads what
-- has grown too old since the one before it, and not all of its project's day.
CREATE TABLE export_days (
    project_id text COLLATE "C" PRIMARY KEY,
    since text COLLATE "C" NOT NULL,
    made bigint NOT NULL,
    size bigint NOT NULL
);

-- For the only one that submits an export until its transaction ends. Where all of a day is counted anew, whoever
-- removes exports or changes their sizes is waited for, and waits: nobody could tell them of a row that is yet to come.
CREATE FUNCTION exports_of_day(project text, begins text, OUT made bigint, OUT bytes bigint, OUT oldest text)
LANGUAGE plpgsql AS $$
DECLARE
    kept export_days%ROWTYPE;
    gone record;
BEGIN
    -- Whoever removes exports has the lock first and the row then: the same order here.
    SELECT * INTO kept FROM export_days AS d WHERE d.project_id = project;
    -- Clocks of hosts differ a little, and two that take turns must not count a day anew each time.
    IF kept.since > begins COLLATE "C" AND kept.since::timestamptz - begins::timestamptz < interval '1 minute' THEN
        begins := kept.since;
    END IF;
    IF kept.since IS NULL OR kept.since > begins COLLATE "C" THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('export_days', 0));
    END IF;
    SELECT * INTO kept FROM export_days AS d WHERE d.project_id = project FOR UPDATE;
    IF NOT FOUND OR kept.since > begins COLLATE "C" THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('export_days', 0));
        SELECT count(*), coalesce(sum(e.size), 0) INTO made, bytes
            FROM exports AS e WHERE e.project_id = project AND e.created_at > begins;
        INSERT INTO export_days AS d (project_id, since, made, size)
            VALUES (project, begins, exports_of_day.made, exports_of_day.bytes)
            ON CONFLICT (project_id) DO UPDATE
            SET since = excluded.since, made = excluded.made, size = excluded.size;
    ELSE
        SELECT count(*) AS made, coalesce(sum(e.size), 0) AS size INTO gone FROM exports AS e
            WHERE e.project_id = project AND e.created_at > kept.since AND e.created_at <= begins;
        made := kept.made - gone.made;
        bytes := kept.size - gone.size;
        IF kept.since < begins COLLATE "C" THEN
            UPDATE export_days AS d SET since = begins, made = exports_of_day.made, size = exports_of_day.bytes
                WHERE d.project_id = project;
        END IF;
    END IF;
    SELECT min(e.created_at) INTO oldest FROM exports AS e WHERE e.project_id = project AND e.created_at > begins;
END $$;

CREATE FUNCTION day_of_new_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE export_days SET made = made + 1, size = size + coalesce(NEW.size, 0)
        WHERE project_id = NEW.project_id AND since < NEW.created_at;
    RETURN NULL;
END $$;

CREATE FUNCTION day_of_exports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('export_days', 0));
    IF TG_OP = 'DELETE' THEN
        UPDATE export_days SET made = made - 1, size = size - coalesce(OLD.size, 0)
            WHERE project_id = OLD.project_id AND since < OLD.created_at;
    ELSE
        UPDATE export_days SET size = size + coalesce(NEW.size, 0) - coalesce(OLD.size, 0)
            WHERE project_id = OLD.project_id AND since < OLD.created_at;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER day_of_new_exports AFTER INSERT ON exports FOR EACH ROW EXECUTE FUNCTION day_of_new_exports();
CREATE TRIGGER day_of_gone_exports AFTER DELETE ON exports FOR EACH ROW EXECUTE FUNCTION day_of_exports();
CREATE TRIGGER day_of_changed_exports AFTER UPDATE OF size ON exports FOR EACH ROW
    WHEN (OLD.size IS DISTINCT FROM NEW.size) EXECUTE FUNCTION day_of_exports();
