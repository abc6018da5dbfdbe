-- Interactions move between customers, and so between the partitions that write their rows. What orders the rows of one
-- (source, id) is the revision, then how much was known of who is whom, then the evaluation: that is `row_version`. The version
-- of an engine cannot be altered, so this is a new table, filled from the one before it, which a later migration removes.
-- The constraint comes first: from here on the table before refuses every row, so that a worker of the version before stops
-- and does not write what nobody would copy.

ALTER TABLE interactions_raw${local} ${on_cluster} ADD CONSTRAINT IF NOT EXISTS moved_on CHECK id = '';

-- sharded by sipHash64(source, id)
CREATE TABLE IF NOT EXISTS placed_interactions_raw
(
    source                  LowCardinality(String)           COMMENT 'System that published the event; identity is (source, id)',
    id                      String                           COMMENT 'Identity within the source' CODEC(ZSTD(1)),
    revision                UInt64                           COMMENT 'A higher revision of the same (source, id) replaces a lower one' CODEC(T64, ZSTD(1)),
    channel                 LowCardinality(String)           COMMENT 'phone, email, visit or online',
    type                    LowCardinality(String)           COMMENT 'What happened on the channel: call, message, visit, order, ...',
    occurred_at             DateTime64(6, 'UTC')             COMMENT 'When it began' CODEC(Delta(8), ZSTD(1)),
    customer                Nullable(String)                 COMMENT 'Canonical customer (crm:..., contract:..., loyalty:..., phone:..., email:..., device:...); null: anonymous' CODEC(ZSTD(1)),
    direction               LowCardinality(Nullable(String)) COMMENT 'inbound (the customer turned to us) or outbound; phone and e-mail only',

    crm_id                  Nullable(String)                 COMMENT 'Identifier: customer number in the CRM, as normalised at the edge' CODEC(ZSTD(1)),
    contract                Nullable(String)                 COMMENT 'Identifier: contract number' CODEC(ZSTD(1)),
    loyalty                 Nullable(String)                 COMMENT 'Identifier: number in the loyalty programme' CODEC(ZSTD(1)),
    phone                   Nullable(String)                 COMMENT 'Identifier: telephone number, E.164 where it could be normalised; 32 hex digits: hashed' CODEC(ZSTD(1)),
    email                   Nullable(String)                 COMMENT 'Identifier: e-mail address, lower case where it could be normalised; 32 hex digits: hashed' CODEC(ZSTD(1)),
    device                  Nullable(String)                 COMMENT 'Identifier: device or cookie; 32 hex digits: hashed' CODEC(ZSTD(1)),
    unnormalised            Array(LowCardinality(String))    COMMENT 'Kinds of identifiers that could not be normalised and stand as they came',

    reason                  LowCardinality(Nullable(String)) COMMENT 'Subject: why, a dotted taxonomy (billing.overcharge)',
    case_id                 Nullable(String)                 COMMENT 'Subject: the case it belongs to' CODEC(ZSTD(1)),
    order_id                Nullable(String)                 COMMENT 'Subject: the order it belongs to' CODEC(ZSTD(1)),
    product                 LowCardinality(Nullable(String)) COMMENT 'Subject: product',
    stage                   LowCardinality(Nullable(String)) COMMENT 'Subject: choice, order, payment, delivery or after_sales',
    outcome                 LowCardinality(Nullable(String)) COMMENT 'resolved, unresolved, promised, abandoned or unknown',

    price_agreed            Nullable(Decimal(38, 6))         COMMENT 'Price that was agreed, in price_currency',
    price_charged           Nullable(Decimal(38, 6))         COMMENT 'Price that was charged, in price_currency',
    price_currency          LowCardinality(Nullable(String)) COMMENT 'ISO 4217 code',
    price_ref               Nullable(String)                 COMMENT 'What the price is for: an order, an invoice, an item' CODEC(ZSTD(1)),

    promise_what            Nullable(String)                 COMMENT 'What was promised to the customer' CODEC(ZSTD(3)),
    promise_due_at          Nullable(DateTime64(6, 'UTC'))   COMMENT 'Promised by this instant' CODEC(ZSTD(1)),
    promise_due_on          Nullable(Date32)                 COMMENT 'Promised by the end of this day, in the zone of the calendar that judges it',
    promise_kept_ref        Nullable(String)                 COMMENT 'Id of the interaction whose promise is kept by this one' CODEC(ZSTD(1)),
    promise_cancelled_ref   Nullable(String)                 COMMENT 'Id of the interaction whose promise is taken back by this one' CODEC(ZSTD(1)),

    rating_scale            LowCardinality(Nullable(String)) COMMENT 'csat5, nps10, ces7 or stars5',
    rating_value            Nullable(Float64)                COMMENT 'Rating on that scale' CODEC(ZSTD(1)),
    rating_resolved         Nullable(Bool)                   COMMENT 'The customer''s own answer: is it resolved?',
    treatment               LowCardinality(Nullable(String)) COMMENT 'How the customer was treated: professional, indifferent or rude',
    sentiment               Nullable(Float64)                COMMENT 'Sentiment from -1 (bad) to 1 (good)' CODEC(ZSTD(1)),
    complaint_remedy_sought Nullable(String)                 COMMENT 'Complaint: the remedy that the customer seeks' CODEC(ZSTD(3)),
    complaint_stage         LowCardinality(Nullable(String)) COMMENT 'Complaint: stage of ISO 10002 (received, acknowledged, assessed, answered, closed)',

    transfers               Nullable(UInt64)                 COMMENT 'How often the customer was passed on' CODEC(T64, ZSTD(1)),
    follows                 Nullable(String)                 COMMENT 'Id of the earlier interaction of the same source that this one continues' CODEC(ZSTD(1)),
    staff_id                LowCardinality(Nullable(String)) COMMENT 'Member of staff',
    text                    Nullable(String)                 COMMENT 'What was said or written' CODEC(ZSTD(3)),
    attributes              Map(String, String)              COMMENT 'Free data of the source' CODEC(ZSTD(3)),

    wait_seconds            Nullable(Float64)                COMMENT 'Seconds that the customer waited (phone, visit)' CODEC(ZSTD(1)),
    talk_seconds            Nullable(Float64)                COMMENT 'Seconds of talk (phone)' CODEC(ZSTD(1)),
    hold_seconds            Nullable(Float64)                COMMENT 'Seconds on hold (phone)' CODEC(ZSTD(1)),
    wrap_up_seconds         Nullable(Float64)                COMMENT 'Seconds of work after the call; not the customer''s time (phone)' CODEC(ZSTD(1)),
    ivr_path                LowCardinality(Nullable(String)) COMMENT 'Path through the voice menu (phone)',
    thread_id               Nullable(String)                 COMMENT 'Mail thread (email)' CODEC(ZSTD(1)),
    in_reply_to             Nullable(String)                 COMMENT 'Message that this one answers (email)' CODEC(ZSTD(1)),
    office_id               LowCardinality(Nullable(String)) COMMENT 'Office (visit)',
    ticket                  Nullable(String)                 COMMENT 'Ticket of the queue (visit)' CODEC(ZSTD(1)),
    service_seconds         Nullable(Float64)                COMMENT 'Seconds at the counter (visit)' CODEC(ZSTD(1)),
    session_id              Nullable(String)                 COMMENT 'Session (online)' CODEC(ZSTD(1)),
    action                  LowCardinality(Nullable(String)) COMMENT 'What was done (online); of a case_update: assigned, waiting_customer, waiting_company, acknowledged, resolved, reopened, closed',
    target                  Nullable(String)                 COMMENT 'What it was done to: a page, a form (online)' CODEC(ZSTD(1)),
    success                 Nullable(Bool)                   COMMENT 'Whether it succeeded (online)',
    duration_seconds        Nullable(Float64)                COMMENT 'Seconds that it took the customer (online)' CODEC(ZSTD(1)),

    topic                   LowCardinality(String)           COMMENT 'Raw topic of the record; under replay the name of the file',
    partition               UInt32                           COMMENT 'Raw partition; 0 under replay',
    offset                  UInt64                           COMMENT 'Raw offset; under replay the number of the line, from 0' CODEC(Delta(8), ZSTD(1)),
    received_at             Nullable(DateTime64(6, 'UTC'))   COMMENT 'Timestamp of the raw record: when the broker or its producer had it' CODEC(Delta(8), ZSTD(1)),

    journey_id              Nullable(String)                 COMMENT 'The journey that it belongs to; null: anonymous, or beyond the horizon' CODEC(ZSTD(1)),
    beyond_horizon          Bool DEFAULT false               COMMENT 'Came too late to change a journey; a replay places it',
    version                 UInt64                           COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch' CODEC(Delta(8), ZSTD(1)),
    links_seen              UInt64                           COMMENT 'Position in the log of links under which the row was decided, the epoch added; 0: written before there was one' CODEC(Delta(8), ZSTD(1)),
    is_deleted              UInt8 DEFAULT 0                  COMMENT '1: the interaction is erased',
    inserted_at             DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),
    row_version             UInt256 MATERIALIZED bitOr(
                                bitOr(bitShiftLeft(toUInt256(revision), 128), bitShiftLeft(toUInt256(links_seen), 64)),
                                toUInt256(version)
                            )                                COMMENT 'revision * 2^128 + links_seen * 2^64 + version: the greatest is the row that is shown' CODEC(ZSTD(1)),

    INDEX by_customer customer TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_journey journey_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time occurred_at TYPE minmax GRANULARITY 1,
    CONSTRAINT source_is_named CHECK source != '',
    CONSTRAINT id_is_given CHECK id != ''
)
ENGINE = ${replicated}ReplacingMergeTree(row_version, is_deleted)
ORDER BY (source, id)
SETTINGS index_granularity = 1024, ${no_deduplication}
COMMENT 'Storage of interactions: every version that was written and is not merged away yet. Read the view `interactions`.';

INSERT INTO placed_interactions_raw
(
    source, id, revision, channel, type, occurred_at, customer, direction, crm_id, contract, loyalty, phone, email,
    device, unnormalised, reason, case_id, order_id, product, stage, outcome, price_agreed, price_charged,
    price_currency, price_ref, promise_what, promise_due_at, promise_due_on, promise_kept_ref, promise_cancelled_ref,
    rating_scale, rating_value, rating_resolved, treatment, sentiment, complaint_remedy_sought, complaint_stage,
    transfers, follows, staff_id, text, attributes, wait_seconds, talk_seconds, hold_seconds, wrap_up_seconds,
    ivr_path, thread_id, in_reply_to, office_id, ticket, service_seconds, session_id, action, target, success,
    duration_seconds, topic, partition, offset, received_at, journey_id, beyond_horizon, version, is_deleted,
    inserted_at
)
SELECT
    source, id, revision, channel, type, occurred_at, customer, direction, crm_id, contract, loyalty, phone, email,
    device, unnormalised, reason, case_id, order_id, product, stage, outcome, price_agreed, price_charged,
    price_currency, price_ref, promise_what, promise_due_at, promise_due_on, promise_kept_ref, promise_cancelled_ref,
    rating_scale, rating_value, rating_resolved, treatment, sentiment, complaint_remedy_sought, complaint_stage,
    transfers, follows, staff_id, text, attributes, wait_seconds, talk_seconds, hold_seconds, wrap_up_seconds,
    ivr_path, thread_id, in_reply_to, office_id, ticket, service_seconds, session_id, action, target, success,
    duration_seconds, topic, partition, offset, received_at, journey_id, beyond_horizon, version, is_deleted,
    inserted_at
FROM interactions_raw;
