-- Customers who were forgotten, without their names: who asked when, what was erased, and which interactions may not come back.
-- Identities are hashed with the key of the pseudonyms, 32 hex digits, so that nothing here tells whom they were about.

-- sharded by sipHash64(id)
CREATE TABLE IF NOT EXISTS erasures_raw
(
    id          String                                       COMMENT 'Number of the receipt',
    asked_at    DateTime64(6, 'UTC')                         COMMENT 'When it was asked for' CODEC(Delta(8), ZSTD(1)),
    asked_by    String                                       COMMENT 'Who asked for it' CODEC(ZSTD(1)),
    reason      Nullable(String)                             COMMENT 'Why, in the words of who asked; null: nothing was said' CODEC(ZSTD(1)),
    customer    String                                       COMMENT 'Keyed hash of the customer''s name at that time, 32 hex digits',
    counts      Map(LowCardinality(String), UInt64)          COMMENT 'Rows that were deleted, by table, and records, by topic' CODEC(ZSTD(1)),
    finished_at Nullable(DateTime64(6, 'UTC'))               COMMENT 'When the last row was deleted; null: it is under way' CODEC(ZSTD(1)),
    gone_at     Nullable(DateTime64(6, 'UTC'))               COMMENT 'From when on the files of ClickHouse hold nothing of it; null: it is under way' CODEC(ZSTD(1)),
    version     UInt64                                       COMMENT 'Microseconds since 1970 when this row was written; the greatest is shown' CODEC(Delta(8), ZSTD(1)),

    CONSTRAINT erasure_is_named CHECK id != ''
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY id
SETTINGS ${no_deduplication}
COMMENT 'Storage of erasures. Read the view `erasures`.';

-- sharded by sipHash64(hash)
CREATE TABLE IF NOT EXISTS erased_interactions_raw
(
    hash    String COMMENT 'Keyed hash of source and id of an interaction or of a fact, 32 hex digits' CODEC(ZSTD(1)),
    erasure String COMMENT 'The erasure that it belongs to' CODEC(ZSTD(1)),

    CONSTRAINT hash_is_whole CHECK length(hash) = 32
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY hash
SETTINGS ${no_deduplication}
COMMENT 'Interactions and facts that are erased: should they come again, nothing is stored of them. `touchline replay` reads it.';

-- sharded by sipHash64(id)
CREATE TABLE IF NOT EXISTS erasures_done_raw
(
    id        String                                       COMMENT 'The erasure',
    partition UInt32                                       COMMENT 'Partition of the interactions topic whose owner holds nothing of it any more',
    done_at   DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    CONSTRAINT erasure_is_named CHECK id != ''
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (id, partition)
SETTINGS ${no_deduplication}
COMMENT 'How far the workers are with erasures. `touchline forget` waits for all partitions.';

CREATE OR REPLACE VIEW erasures ${on_cluster}
(
    id          String                              COMMENT 'Number of the receipt',
    asked_at    DateTime64(6, 'UTC')                COMMENT 'When it was asked for',
    asked_by    String                              COMMENT 'Who asked for it',
    reason      Nullable(String)                    COMMENT 'Why, in the words of who asked; null: nothing was said',
    customer    String                              COMMENT 'Keyed hash of the customer''s name at that time, 32 hex digits',
    counts      Map(LowCardinality(String), UInt64) COMMENT 'Rows that were deleted, by table, and records, by topic',
    finished_at Nullable(DateTime64(6, 'UTC'))      COMMENT 'When the last row was deleted; null: it is under way',
    gone_at     Nullable(DateTime64(6, 'UTC'))      COMMENT 'From when on the files of ClickHouse hold nothing of it; null: it is under way'
)
AS SELECT
    id,
    asked_at,
    asked_by,
    reason,
    customer,
    counts,
    finished_at,
    gone_at
FROM erasures_raw FINAL
COMMENT 'One row for each customer who was forgotten, without a name: the receipts of `touchline forget`.';
