-- With which engine each host works; what earlier versions write stands for the only one that they know.
ALTER TABLE hosts ADD COLUMN engine text COLLATE "C" NOT NULL DEFAULT 'postgres';
