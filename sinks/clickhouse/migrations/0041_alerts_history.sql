-- Each time that something became of an alert: `alerts` shows of a notice what it came to, and hides that it was held back
-- before, and why. The instant is part of the key, and the rows of a step keep theirs when they are written again.

-- sharded by sipHash64(customer)
CREATE TABLE IF NOT EXISTS alerts_history_raw
(
    finding_id  String                                       COMMENT 'The finding that it is about; of a summary of many: flood:RULE:SEVERITY' CODEC(ZSTD(1)),
    customer    String                                       COMMENT 'Canonical customer; empty for a summary of many' CODEC(ZSTD(1)),
    rule        LowCardinality(String)                       COMMENT 'Rule of the finding',
    severity    LowCardinality(String)                       COMMENT 'minor, major or severe',
    kind        LowCardinality(String)                       COMMENT 'What there was to say: raised, updated, reminded, repeated, acknowledged, resolved, withdrawn, settled, folded, calmed',
    destination LowCardinality(String)                       COMMENT 'Who was to be told; empty: no route led anywhere',
    status      LowCardinality(String)                       COMMENT 'pending, delivered, suppressed or failed, from then on',
    reason      String                                       COMMENT 'Why it was suppressed, has failed or is pending: a stable word, then the destination''s own words behind a colon' CODEC(ZSTD(1)),
    at          DateTime64(6, 'UTC')                         COMMENT 'When it became so' CODEC(Delta(8), ZSTD(1)),
    version     UInt64                                       COMMENT 'Version of the finding''s change that it tells' CODEC(Delta(8), ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_finding finding_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time at TYPE minmax GRANULARITY 1,
    CONSTRAINT finding_is_named CHECK finding_id != ''
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (customer, finding_id, at, version, destination, kind, status, reason)
SETTINGS ${no_deduplication}
COMMENT 'Storage of what became of alerts, each time. Read the view `alerts_history`.';
