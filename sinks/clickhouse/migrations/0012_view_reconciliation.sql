-- The ledger's answer for each source partition: is every record that was read accounted for, exactly once?

CREATE OR REPLACE VIEW reconciliation ${on_cluster}
(
    topic       LowCardinality(String) COMMENT 'Source topic; under replay the name of the file',
    partition   UInt32                 COMMENT 'Source partition; 0 under replay',
    incarnation UInt64                 COMMENT 'Which life of the topics: microseconds since 1970 when they were made; under replay a digest',
    received    UInt64                 COMMENT 'Offsets that were read',
    stored      UInt64                 COMMENT 'Of them: the interaction is stored and is the latest revision',
    superseded  UInt64                 COMMENT 'Of them: a repetition, or an older revision (also one that was stored and is replaced since)',
    dead        UInt64                 COMMENT 'Of them: a dead letter',
    missing     UInt64                 COMMENT 'Received, and neither stored nor superseded nor dead: still under way, or lost',
    surplus     UInt64                 COMMENT 'Stored, superseded or dead, and never received: must be 0',
    balanced    Bool                   COMMENT 'received = stored + superseded + dead, offset by offset: nothing missing, nothing surplus'
)
AS SELECT
    l.topic AS topic,
    l.partition AS partition,
    l.incarnation AS incarnation,
    sum(l.received) AS received,
    sum(l.stored) AS stored,
    sum(l.superseded) AS superseded,
    sum(l.dead) AS dead,
    sum(l.missing) AS missing,
    sum(l.surplus) AS surplus,
    toBool(sum(l.missing) = 0 AND sum(l.surplus) = 0) AS balanced
FROM ledger AS l
GROUP BY l.topic, l.partition, l.incarnation
COMMENT 'Whether every source record is accounted for: received = stored + superseded + dead, per partition.';
