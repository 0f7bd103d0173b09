-- The line that the next one of the trail is chained to, for the only one that writes it until its transaction ends.
-- Each statement in here sees what has counted by then, as two statements of a host did, with one message.
CREATE FUNCTION trail_head(OUT number bigint, OUT digest text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit', 0));
    SELECT id, hash INTO number, digest FROM audit ORDER BY id DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT audit_id, hash INTO number, digest FROM audit_anchor;
    END IF;
END $$;
