-- Members, staged bytes, retired ids; an index for each order and filter of the Image API.

CREATE TABLE image_members (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL,
    status TEXT NOT NULL,
    image_created_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (image_id, member_id)
) WITHOUT ROWID;

CREATE INDEX image_members_by_member
    ON image_members (member_id, status, image_created_at DESC, image_id DESC);

CREATE TABLE image_stages (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL REFERENCES blobs (sha256),
    format TEXT
) WITHOUT ROWID;

CREATE INDEX image_stages_by_blob ON image_stages (sha256);

CREATE TABLE retired_images (id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE INDEX images_by_name ON images (ifnull(name, ''));

CREATE INDEX images_by_size ON images (ifnull(size, -1));

CREATE INDEX images_hidden ON images (id) WHERE is_hidden = 1;

CREATE INDEX images_by_change ON images (updated_at);

CREATE INDEX images_by_status ON images (status);

CREATE INDEX images_by_disk_format ON images (ifnull(disk_format, ''));

CREATE INDEX images_by_container_format ON images (ifnull(container_format, ''));

CREATE INDEX images_of_project_by_name ON images (project_id, ifnull(name, ''));

CREATE INDEX images_of_project_by_size ON images (project_id, ifnull(size, -1));

CREATE INDEX images_of_project_by_change ON images (project_id, updated_at);

CREATE INDEX images_public_by_name ON images (visibility, ifnull(name, '')) WHERE visibility = 'public';

CREATE INDEX images_public_by_size ON images (visibility, ifnull(size, -1)) WHERE visibility = 'public';

CREATE INDEX images_public_by_change ON images (visibility, updated_at) WHERE visibility = 'public';

CREATE INDEX blobs_by_md5 ON blobs (md5);

CREATE INDEX blobs_by_sha512 ON blobs (sha512);
