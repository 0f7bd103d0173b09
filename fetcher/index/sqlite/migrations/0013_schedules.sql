-- Images that are kept new: what is asked for by which name, and which images came of it.

CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    rules TEXT NOT NULL,
    progress TEXT NOT NULL,
    next_at TEXT NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX schedules_by_turn ON schedules (next_at);

CREATE INDEX schedules_by_project ON schedules (project_id, created_at);

CREATE TABLE schedule_images (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    serial TEXT NOT NULL,
    at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX schedule_images_by_schedule ON schedule_images (schedule_id, at);
