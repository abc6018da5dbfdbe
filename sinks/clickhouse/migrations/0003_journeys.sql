-- One row for each journey, replaced whenever the journey changes and deleted (is_deleted) when a late interaction
-- merged it into another or moved its beginning. All versions of a customer come from one partition, in order.

-- sharded by sipHash64(customer)
CREATE TABLE IF NOT EXISTS journeys_raw
(
    customer               String                            COMMENT 'Canonical customer' CODEC(ZSTD(1)),
    journey_id             String                            COMMENT 'Derived from the customer and the first interaction' CODEC(ZSTD(1)),
    started_at             DateTime64(6, 'UTC')              COMMENT 'When its first interaction began' CODEC(Delta(8), ZSTD(1)),
    ended_at               DateTime64(6, 'UTC')              COMMENT 'When its last interaction (so far) began' CODEC(Delta(8), ZSTD(1)),
    status                 LowCardinality(String)            COMMENT 'open, or closed: the watermark is more than the gap after ended_at',
    interactions           UInt64                            COMMENT 'Number of interactions' CODEC(T64, ZSTD(1)),
    contacts               UInt64                            COMMENT 'How often the customer turned to people: inbound call, voicemail, sms or message; visit, form, chat' CODEC(T64, ZSTD(1)),
    path                   Array(LowCardinality(String))     COMMENT 'Channels in the order of the timeline, repeats kept',
    channels               Array(LowCardinality(String))     COMMENT 'Distinct channels in the order of first use',
    subjects               Array(String)                     COMMENT 'What it was about, distinct and sorted: case:ID, order:ID, reason:a.b, thread:ID' CODEC(ZSTD(1)),
    wait_seconds           Nullable(Float64)                 COMMENT 'Seconds waited, added up; null: nothing known' CODEC(ZSTD(1)),
    transfers              Nullable(UInt64)                  COMMENT 'Times passed on, added up; null: nothing known' CODEC(T64, ZSTD(1)),
    effort_seconds         Nullable(Float64)                 COMMENT 'The customer''s time in seconds: wait, talk, hold, service and duration added up; null: nothing known' CODEC(ZSTD(1)),
    resolved               Nullable(Bool)                    COMMENT 'Whether the last known outcome is resolved; null: no outcome known',
    first_contact_resolved Nullable(Bool)                    COMMENT 'Resolved with exactly one contact; null: no outcome known',
    dropped                UInt64 DEFAULT 0                  COMMENT 'Interactions that are counted in here and that path no longer lists' CODEC(T64, ZSTD(1)),
    version                UInt64                            COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown' CODEC(Delta(8), ZSTD(1)),
    is_deleted             UInt8 DEFAULT 0                   COMMENT '1: the journey is no more',
    inserted_at            DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_journey journey_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_start started_at TYPE minmax GRANULARITY 1,
    INDEX by_end ended_at TYPE minmax GRANULARITY 1,
    CONSTRAINT customer_is_named CHECK customer != '',
    CONSTRAINT journey_is_named CHECK journey_id != ''
)
ENGINE = ${replicated}ReplacingMergeTree(version, is_deleted)
ORDER BY (customer, journey_id)
SETTINGS ${no_deduplication}
COMMENT 'Storage of journeys: every version that was written and is not merged away yet. Read the view `journeys`.';
