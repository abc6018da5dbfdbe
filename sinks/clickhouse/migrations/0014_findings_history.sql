-- Every change of every finding, with the finding as it stood after it: what was said when, and what a withdrawn one had been.
-- The number of the change is part of the key, so a batch that is re-formed after a crash writes the same rows again.

-- sharded by sipHash64(customer)
CREATE TABLE IF NOT EXISTS findings_history_raw
(
    customer                String                                       COMMENT 'Canonical customer' CODEC(ZSTD(1)),
    finding_id              String                                       COMMENT 'Derived from rule, case, customer, anchor and counted subject: the same as long as it is true' CODEC(ZSTD(1)),
    rule                    LowCardinality(String)                       COMMENT 'Rule of the catalogue that found it',
    rule_version            LowCardinality(String)                       COMMENT 'Hash of the rule''s content when it found this',
    rule_case               LowCardinality(String)                       COMMENT 'Which of the rule''s cases stands',
    severity                LowCardinality(String)                       COMMENT 'minor, major or severe',
    weight                  Float64                                      COMMENT 'Points that the rule gives it in the light at raised_at, halved every half-life' CODEC(ZSTD(1)),
    channel                 LowCardinality(String)                       COMMENT 'The process that it counts for: phone, email, visit or online',
    state                   LowCardinality(String)                       COMMENT 'open, resolved (it was true and has been put right), settled (it left the horizon and stays as it was) or withdrawn (it never was true)',
    raised_at               DateTime64(6, 'UTC')                         COMMENT 'Since when it stands: the deadline that passed, or the interaction that completed it' CODEC(Delta(8), ZSTD(1)),
    resolved_at             Nullable(DateTime64(6, 'UTC'))               COMMENT 'When it was put right; null: it was not' CODEC(ZSTD(1)),
    extends_to              Nullable(DateTime64(6, 'UTC'))               COMMENT 'Instant of the last thing that it counts; null: not said' CODEC(ZSTD(1)),
    anchor_source           LowCardinality(String)                       COMMENT 'Interaction that it is anchored at: system',
    anchor_id               String                                       COMMENT 'Interaction that it is anchored at: id within the source' CODEC(ZSTD(1)),
    `evidence.source`       Array(LowCardinality(String))                COMMENT 'Evidence, in the order of the timeline: system that published it',
    `evidence.id`           Array(String)                                COMMENT 'Evidence, in the order of the timeline: id within the source' CODEC(ZSTD(1)),
    `evidence.topic`        Array(LowCardinality(String))                COMMENT 'Evidence, in the order of the timeline: raw topic of its record; under replay the name of the file',
    `evidence.partition`    Array(UInt32)                                COMMENT 'Evidence, in the order of the timeline: raw partition; 0 under replay' CODEC(ZSTD(1)),
    `evidence.offset`       Array(UInt64)                                COMMENT 'Evidence, in the order of the timeline: raw offset; under replay the number of the line, from 0' CODEC(ZSTD(1)),
    `evidence.occurred_at`  Array(DateTime64(6, 'UTC'))                  COMMENT 'Evidence, in the order of the timeline: when it began' CODEC(ZSTD(1)),
    `evidence.channel`      Array(LowCardinality(String))                COMMENT 'Evidence, in the order of the timeline: phone, email, visit or online',
    `evidence.values`       Array(Map(String, String))                   COMMENT 'Evidence, in the order of the timeline: the values that mattered, by field' CODEC(ZSTD(3)),
    `counterfactual.source` Array(LowCardinality(String))                COMMENT 'A smallest set of evidence without which it would not stand: system',
    `counterfactual.id`     Array(String)                                COMMENT 'A smallest set of evidence without which it would not stand: id within the source' CODEC(ZSTD(1)),
    subjects                Array(String)                                COMMENT 'What it is about: case:ID, order:ID, reason:a.b, thread:ID' CODEC(ZSTD(1)),
    sentence                String                                       COMMENT 'Why it stands, in words, over the evidence' CODEC(ZSTD(3)),
    action                  String                                       COMMENT 'What to do about it' CODEC(ZSTD(3)),
    sequence                UInt64                                       COMMENT 'Number of this change of the finding, from 1' CODEC(T64, ZSTD(1)),
    kind                    LowCardinality(String)                       COMMENT 'raised, updated, resolved, withdrawn, settled or reopened',
    at                      DateTime64(6, 'UTC')                         COMMENT 'When: by event time for what events decide, else when it became known' CODEC(Delta(8), ZSTD(1)),
    reason                  LowCardinality(String)                       COMMENT 'Why it changed, a stable word: completed, deadline, arrived, corrected, removed, time, horizon, ...',
    cause_source            LowCardinality(Nullable(String))             COMMENT 'The interaction that did it: system; null: time or a change of rules did',
    cause_id                Nullable(String)                             COMMENT 'The interaction that did it: id within the source; null: time or a change of rules did' CODEC(ZSTD(1)),
    version                 UInt64                                       COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown' CODEC(Delta(8), ZSTD(1)),
    inserted_at             DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_finding finding_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time at TYPE minmax GRANULARITY 1,
    CONSTRAINT customer_is_named CHECK customer != '',
    CONSTRAINT finding_is_named CHECK finding_id != ''
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (customer, finding_id, sequence)
SETTINGS ${no_deduplication}
COMMENT 'Storage of the changes of findings. Read the view `findings_history`.';
