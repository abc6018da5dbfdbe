-- The ledger in numbers, one row for each range of 100,000 offsets. Every offset has one fate: superseded outranks stored
-- (a stored interaction that a later revision replaced), and dead counts only where there is neither.
-- Everything is a set operation on offsets, so a loss and a surplus cannot cancel each other out.

CREATE OR REPLACE VIEW ledger ${on_cluster}
(
    topic       LowCardinality(String) COMMENT 'Source topic; under replay the name of the file',
    partition   UInt32                 COMMENT 'Source partition; 0 under replay',
    incarnation UInt64                 COMMENT 'Which life of the topics: microseconds since 1970 when they were made; under replay a digest',
    offset_from UInt64                 COMMENT 'Smallest offset in this range',
    offset_to   UInt64                 COMMENT 'Greatest offset in this range',
    received    UInt64                 COMMENT 'Offsets that were read',
    stored      UInt64                 COMMENT 'Of them: the interaction is stored and is the latest revision',
    superseded  UInt64                 COMMENT 'Of them: a repetition, or an older revision (also one that was stored and is replaced since)',
    dead        UInt64                 COMMENT 'Of them: a dead letter',
    missing     UInt64                 COMMENT 'Received, and neither stored nor superseded nor dead: still under way, or lost',
    surplus     UInt64                 COMMENT 'Stored, superseded or dead, and never received: must be 0'
)
AS WITH
    fates AS (
        SELECT
            topic,
            partition,
            incarnation,
            bucket,
            groupBitmapMergeState(received)   AS received_set,
            groupBitmapMergeState(stored)     AS stored_set,
            groupBitmapMergeState(superseded) AS superseded_set,
            groupBitmapMergeState(dead)       AS dead_set
        FROM ledger_raw
        GROUP BY topic, partition, incarnation, bucket
    ),
    united AS (
        SELECT
            *,
            bitmapOr(stored_set, superseded_set) AS used_set,
            bitmapOr(used_set, dead_set)         AS accounted_set,
            bitmapOr(accounted_set, received_set) AS any_set
        FROM fates
    )
SELECT
    topic,
    partition,
    incarnation,
    bitmapMin(any_set) AS offset_from,
    bitmapMax(any_set) AS offset_to,
    bitmapCardinality(received_set) AS received,
    bitmapAndnotCardinality(stored_set, superseded_set) AS stored,
    bitmapCardinality(superseded_set) AS superseded,
    bitmapAndnotCardinality(dead_set, used_set) AS dead,
    bitmapAndnotCardinality(received_set, accounted_set) AS missing,
    bitmapAndnotCardinality(accounted_set, received_set) AS surplus
FROM united
COMMENT 'What became of the source offsets, one row for each partition and range of 100,000 offsets.';
