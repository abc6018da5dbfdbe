-- Raw records that could not be used, as they came, with why. The coordinates are the key, so a record that is met
-- again after a crash stands here once. `incarnation` tells two lives of one topic apart.

-- sharded by sipHash64(topic, partition)
CREATE TABLE IF NOT EXISTS dead_letters_raw
(
    topic       LowCardinality(String)                       COMMENT 'Topic of the record; under replay the name of the file',
    partition   UInt32                                       COMMENT 'Partition of the record; 0 under replay',
    offset      UInt64                                       COMMENT 'Offset of the record; under replay the number of the line, from 0' CODEC(Delta(8), ZSTD(1)),
    incarnation UInt64                                       COMMENT 'Which life of the topics: microseconds since 1970 when they were made; under replay a digest',
    key         Nullable(String)                             COMMENT 'Original key, the bytes as they came' CODEC(ZSTD(3)),
    value       Nullable(String)                             COMMENT 'Original value, the bytes as they came' CODEC(ZSTD(3)),
    headers     Array(Tuple(name String, value String))      COMMENT 'Original headers in their order' CODEC(ZSTD(3)),
    stage       LowCardinality(String)                       COMMENT 'Where it failed: decode, validate or process',
    error       LowCardinality(String)                       COMMENT 'Class of the error, a stable word to group by',
    message     String                                       COMMENT 'What is wrong, naming the field' CODEC(ZSTD(3)),
    occurred_at DateTime64(6, 'UTC')                         COMMENT 'When it was declared dead' CODEC(Delta(8), ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    CONSTRAINT topic_is_named CHECK topic != ''
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (topic, partition, offset, incarnation)
SETTINGS ${no_deduplication}
COMMENT 'Storage of dead letters. Read the view `dead_letters`.';
