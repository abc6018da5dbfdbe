-- What the hashes stand for, in a database of its own: a GRANT on the main one does not reach it.

CREATE DATABASE IF NOT EXISTS ${private} ${on_cluster};

-- sharded by sipHash64(name)
CREATE TABLE IF NOT EXISTS ${private}.identifiers_raw
(
    name        String                                       COMMENT 'The identifier as the tables name it: its kind, a colon, 32 hex digits' CODEC(ZSTD(1)),
    clear_name  String                                       COMMENT 'The identifier itself, written likewise' CODEC(ZSTD(3)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_clear_name clear_name TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY name
SETTINGS ${no_deduplication}
COMMENT 'Storage of what the hashes stand for. Read the view `identifiers`.';

CREATE OR REPLACE VIEW ${private}.identifiers ${on_cluster}
(
    name       String COMMENT 'The identifier as the tables name it: its kind, a colon, 32 hex digits',
    clear_name String COMMENT 'The identifier itself, written likewise'
)
AS SELECT
    name,
    clear_name
FROM ${private}.identifiers_raw FINAL
COMMENT 'What the hashes in `customer` and `identity.name` stand for: one row for each identifier.';
