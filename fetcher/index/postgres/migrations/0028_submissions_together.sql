-- Submissions that are written together are judged with one message and counted with one call of each trigger.

-- What whoever adds imports has to know, for the only one that does until its transaction ends: how many wait, what
-- each of these projects holds, and the line that the next one of the trail is chained to. Hosts wait for their turn
-- first, so that what comes to them meanwhile is in the same transaction, and then take locks in the order that hosts
-- of earlier versions keep, too: usage of projects by their ids, the queue, the trail.
CREATE FUNCTION submission_turn(
    projects text[], OUT held text, OUT waiting bigint, OUT number bigint, OUT digest text
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('submissions', 0));
    INSERT INTO usage (project_id) SELECT project FROM unnest(projects) AS project
        WHERE NOT EXISTS (SELECT 1 FROM usage WHERE usage.project_id = project) ORDER BY 1 ON CONFLICT DO NOTHING;
    PERFORM 1 FROM usage WHERE usage.project_id = ANY(projects) ORDER BY usage.project_id FOR UPDATE;
    waiting := waiting_imports();
    SELECT json_object_agg(u.project_id, json_build_array(u.images, u.bytes + u.held_bytes, u.text_bytes))::text
        INTO held FROM usage AS u WHERE u.project_id = ANY(projects);
    SELECT trail.number, trail.digest INTO number, digest FROM trail_head() AS trail;
END $$;

-- The triggers of new rows run once for each statement, whatever it adds; what they count and tell is the same.
CREATE FUNCTION usage_of_new_images() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_usage(more.project_id, more.images, more.bytes, 0, more.text_bytes) FROM (
        SELECT project_id, count(*) AS images, sum(coalesce(size, 0))::bigint AS bytes,
            sum(text_bytes)::bigint AS text_bytes
        FROM added GROUP BY project_id ORDER BY project_id) AS more;
    RETURN NULL;
END $$;

DROP TRIGGER usage_of_images ON images;
CREATE TRIGGER usage_of_images AFTER DELETE OR UPDATE OF size, project_id, text_bytes ON images
    FOR EACH ROW EXECUTE FUNCTION usage_of_images();
CREATE TRIGGER usage_of_new_images AFTER INSERT ON images REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION usage_of_new_images();

CREATE FUNCTION note_new_images() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begun jsonb;
BEGIN
    SELECT jsonb_object_agg(project_id, true) INTO begun
        FROM added WHERE status IN ('importing', 'saving', 'uploading');
    IF begun IS NOT NULL THEN
        PERFORM set_config('fetcher.begun',
            (coalesce(nullif(current_setting('fetcher.begun', true), ''), '{}')::jsonb || begun)::text, true);
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER note_new_images ON images;
CREATE TRIGGER note_new_images AFTER INSERT ON images REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION note_new_images();

CREATE FUNCTION tell_of_new_imports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fetcher', 'import ' || id || ' ' || state || ' ' || claim) FROM added;
    RETURN NULL;
END $$;

DROP TRIGGER tell_of_new_imports ON imports;
CREATE TRIGGER tell_of_new_imports AFTER INSERT ON imports REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_new_imports();

-- An import that has only been submitted holds nothing yet.
DROP TRIGGER usage_of_imports ON imports;
CREATE TRIGGER usage_of_imports AFTER DELETE OR UPDATE OF expected_bytes, received_bytes, ended_at ON imports
    FOR EACH ROW EXECUTE FUNCTION usage_of_imports();
CREATE TRIGGER usage_of_new_imports AFTER INSERT ON imports FOR EACH ROW
    WHEN (NEW.received_bytes <> 0 OR coalesce(NEW.expected_bytes, 0) <> 0) EXECUTE FUNCTION usage_of_imports();
