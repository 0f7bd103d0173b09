-- What takes a lock and then counts, with one message: each statement in here sees what has counted by then.

-- Imports that wait, for the only one that adds to them until its transaction ends.
CREATE FUNCTION waiting_imports() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('queue', 0));
    RETURN (SELECT count(*) FROM imports WHERE ended_at IS NULL AND state = 'queued');
END $$;

-- How many images a project writes now and how many bytes it has staged, for the only one that begins any of its.
CREATE FUNCTION begun_by(project text, OUT uploading bigint, OUT staged bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM usage WHERE usage.project_id = project FOR UPDATE;
    SELECT count(*) INTO uploading FROM images
        WHERE status IN ('importing', 'saving', 'uploading') AND images.project_id = project;
    SELECT coalesce(sum(size), 0)::bigint INTO staged FROM image_stages WHERE image_stages.project_id = project;
END $$;
