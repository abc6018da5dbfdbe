-- The ledger of migrations: which files this database has seen, and the checksum they had then.
-- It comes first, so that every later migration can be entered into it.

-- sharded by sipHash64(number)
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt32                    COMMENT 'Number of the migration, the beginning of its file name',
    name       String                    COMMENT 'File name',
    checksum   String                    COMMENT 'SHA-256 of the file when it was applied; an edited file is refused',
    applied_at DateTime64(3, 'UTC')      DEFAULT now64(3, 'UTC') COMMENT 'When it was applied'
)
ENGINE = ${replicated}ReplacingMergeTree(applied_at)
ORDER BY number
SETTINGS ${no_deduplication}
COMMENT 'Migrations that this database has seen';
