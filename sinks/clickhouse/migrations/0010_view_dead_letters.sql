-- What people read of dead letters: each raw record once.

CREATE OR REPLACE VIEW dead_letters ${on_cluster}
(
    topic       LowCardinality(String)                  COMMENT 'Topic of the record; under replay the name of the file',
    partition   UInt32                                  COMMENT 'Partition of the record; 0 under replay',
    offset      UInt64                                  COMMENT 'Offset of the record; under replay the number of the line, from 0',
    incarnation UInt64                                  COMMENT 'Which life of the topics: microseconds since 1970 when they were made; under replay a digest',
    key         Nullable(String)                        COMMENT 'Original key, the bytes as they came',
    value       Nullable(String)                        COMMENT 'Original value, the bytes as they came',
    headers     Array(Tuple(name String, value String)) COMMENT 'Original headers in their order',
    stage       LowCardinality(String)                  COMMENT 'Where it failed: decode, validate or process',
    error       LowCardinality(String)                  COMMENT 'Class of the error, a stable word to group by',
    message     String                                  COMMENT 'What is wrong, naming the field',
    occurred_at DateTime64(6, 'UTC')                    COMMENT 'When it was declared dead',
    inserted_at DateTime64(3, 'UTC')                    COMMENT 'When this row was written'
)
AS SELECT
    topic,
    partition,
    offset,
    incarnation,
    key,
    value,
    headers,
    stage,
    error,
    message,
    occurred_at,
    inserted_at
FROM dead_letters_raw FINAL
COMMENT 'One row for each raw record that could not be used, with its original bytes and the reason.';
