-- What became of each source offset, as bitmaps of offsets: uniting a set with itself changes nothing, so a batch that
-- is written twice, or cut differently after a crash, still counts every offset once.
-- The writer hands over plain arrays of offsets; the EPHEMERAL columns turn them into bitmaps and are not stored.

-- sharded by sipHash64(topic, partition)
CREATE TABLE IF NOT EXISTS ledger_raw
(
    topic              LowCardinality(String)                 COMMENT 'Source topic; under replay the name of the file',
    incarnation        UInt64                                 COMMENT 'Which life of the topics: microseconds since 1970 when they were made; under replay a digest',
    partition          UInt32                                 COMMENT 'Source partition; 0 under replay',
    bucket             UInt64                                 COMMENT 'Offset divided by 100,000, rounded down',
    received_offsets   Array(UInt64) EPHEMERAL                COMMENT 'Only in INSERT: offsets that were read',
    stored_offsets     Array(UInt64) EPHEMERAL                COMMENT 'Only in INSERT: offsets whose interaction was stored',
    superseded_offsets Array(UInt64) EPHEMERAL                COMMENT 'Only in INSERT: offsets of repetitions and of older revisions',
    dead_offsets       Array(UInt64) EPHEMERAL                COMMENT 'Only in INSERT: offsets of dead letters',
    received           AggregateFunction(groupBitmap, UInt64) DEFAULT bitmapBuild(received_offsets)   COMMENT 'Offsets that were read',
    stored             AggregateFunction(groupBitmap, UInt64) DEFAULT bitmapBuild(stored_offsets)     COMMENT 'Offsets whose interaction was stored',
    superseded         AggregateFunction(groupBitmap, UInt64) DEFAULT bitmapBuild(superseded_offsets) COMMENT 'Offsets of repetitions and of older revisions',
    dead               AggregateFunction(groupBitmap, UInt64) DEFAULT bitmapBuild(dead_offsets)       COMMENT 'Offsets of dead letters'
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY (topic, incarnation, partition, bucket)
SETTINGS ${no_deduplication}
COMMENT 'Storage of the ledger: sets of source offsets. Read the views `ledger` and `reconciliation`.';
