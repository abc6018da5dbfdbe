-- A journey step by step, for reading along the timeline. The window is cut by journey_id and customer, so that a filter
-- on either is applied before the steps are numbered.

CREATE OR REPLACE VIEW journey_steps ${on_cluster}
(
    journey_id             Nullable(String)                 COMMENT 'The journey that it belongs to; null: anonymous, or beyond the horizon',
    customer               Nullable(String)                 COMMENT 'Canonical customer (crm:..., contract:..., loyalty:..., phone:..., email:..., device:...); null: anonymous',
    step                   UInt64                           COMMENT 'Place in the journey, from 1; ties in time are broken by source and id, by code point',
    source                 LowCardinality(String)           COMMENT 'System that published the event; identity is (source, id)',
    id                     String                           COMMENT 'Identity within the source',
    channel                LowCardinality(String)           COMMENT 'phone, email, visit or online',
    type                   LowCardinality(String)           COMMENT 'What happened on the channel: call, message, visit, order, ...',
    occurred_at            DateTime64(6, 'UTC')             COMMENT 'When it began',
    seconds_since_previous Nullable(Float64)                COMMENT 'Seconds from the beginning of the step before; null for the first',
    direction              LowCardinality(Nullable(String)) COMMENT 'inbound (the customer turned to us) or outbound; phone and e-mail only',
    is_contact             Bool                             COMMENT 'The customer turned to people: inbound call, voicemail, sms or message; visit, form, chat',
    reason                 LowCardinality(Nullable(String)) COMMENT 'Subject: why, a dotted taxonomy (billing.overcharge)',
    case_id                Nullable(String)                 COMMENT 'Subject: the case it belongs to',
    order_id               Nullable(String)                 COMMENT 'Subject: the order it belongs to',
    outcome                LowCardinality(Nullable(String)) COMMENT 'resolved, unresolved, promised, abandoned or unknown',
    wait_seconds           Nullable(Float64)                COMMENT 'Seconds that the customer waited (phone, visit)',
    talk_seconds           Nullable(Float64)                COMMENT 'Seconds of talk (phone)',
    hold_seconds           Nullable(Float64)                COMMENT 'Seconds on hold (phone)',
    service_seconds        Nullable(Float64)                COMMENT 'Seconds at the counter (visit)',
    duration_seconds       Nullable(Float64)                COMMENT 'Seconds that it took the customer (online)',
    transfers              Nullable(UInt64)                 COMMENT 'How often the customer was passed on',
    staff_id               LowCardinality(Nullable(String)) COMMENT 'Member of staff'
)
AS SELECT
    journey_id,
    customer,
    row_number() OVER timeline AS step,
    source,
    id,
    channel,
    type,
    occurred_at,
    if(
        row_number() OVER timeline = 1,
        NULL,
        dateDiff('microsecond', lagInFrame(occurred_at) OVER timeline, occurred_at) / 1000000
    ) AS seconds_since_previous,
    direction,
    is_contact,
    reason,
    case_id,
    order_id,
    outcome,
    wait_seconds,
    talk_seconds,
    hold_seconds,
    service_seconds,
    duration_seconds,
    transfers,
    staff_id
FROM interactions
WHERE journey_id IS NOT NULL
WINDOW timeline AS (
    PARTITION BY journey_id, customer
    ORDER BY occurred_at, source, id
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
)
COMMENT 'One row for each interaction of a journey, numbered along its timeline.';
