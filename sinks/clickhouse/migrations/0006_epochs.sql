-- When the topics were made anew and when a replay began. Offsets start again at zero then, and the versions of rows
-- and the coordinates of records must not: the instant of the epoch is added to the one and kept beside the other.

-- sharded by sipHash64(kind, prefix)
CREATE TABLE IF NOT EXISTS epochs_raw
(
    kind      LowCardinality(String)                       COMMENT 'topics: they were made anew; replay: a replay began',
    prefix    String                                       COMMENT 'Prefix of the topics; empty for a replay',
    at        UInt64                                       COMMENT 'Microseconds since 1970, UTC',
    opened_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written',

    CONSTRAINT kind_is_known CHECK kind IN ('topics', 'replay')
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (kind, prefix, at)
SETTINGS ${no_deduplication}
COMMENT 'Epochs: what row versions and the incarnations of topics begin with';
