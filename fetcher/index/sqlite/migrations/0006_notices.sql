-- Who is to be told that an import has ended, and what became of it.

ALTER TABLE imports ADD COLUMN notice TEXT;

CREATE TABLE notices (
        import_id TEXT PRIMARY KEY REFERENCES imports (id) ON DELETE CASCADE,
        project_id TEXT NOT NULL,
        url TEXT,
        secret TEXT,
        due_at TEXT
    ) WITHOUT ROWID;

CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;

CREATE TRIGGER notices_of_ended_imports AFTER UPDATE OF ended_at ON imports
        WHEN NEW.notice IS NOT NULL AND OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
        BEGIN UPDATE notices SET due_at = NEW.ended_at WHERE import_id = NEW.id; END;
