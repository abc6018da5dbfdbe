-- Journeys as before, each once, as it stands now.
-- A customer who has become another is shown under the present name, also in rows that are too old to be written anew: they are
-- the second part of the union, which costs nothing while there are none. The first part lets filters reach the indexes.

CREATE OR REPLACE VIEW journeys ${on_cluster}
(
    journey_id             String                        COMMENT 'Derived from the customer and the first interaction',
    customer               String                        COMMENT 'Canonical customer',
    started_at             DateTime64(6, 'UTC')          COMMENT 'When its first interaction began',
    ended_at               DateTime64(6, 'UTC')          COMMENT 'When its last interaction (so far) began',
    status                 LowCardinality(String)        COMMENT 'open, or closed: the watermark is more than the gap after ended_at',
    interactions           UInt64                        COMMENT 'Number of interactions',
    contacts               UInt64                        COMMENT 'How often the customer turned to people: inbound call, voicemail, sms or message; visit, form, chat',
    path                   Array(LowCardinality(String)) COMMENT 'Channels in the order of the timeline, repeats kept',
    channels               Array(LowCardinality(String)) COMMENT 'Distinct channels in the order of first use',
    subjects               Array(String)                 COMMENT 'What it was about, distinct and sorted: case:ID, order:ID, reason:a.b, thread:ID',
    wait_seconds           Nullable(Float64)             COMMENT 'Seconds waited, added up; null: nothing known',
    transfers              Nullable(UInt64)              COMMENT 'Times passed on, added up; null: nothing known',
    effort_seconds         Nullable(Float64)             COMMENT 'The customer''s time in seconds: wait, talk, hold, service and duration added up; null: nothing known',
    resolved               Nullable(Bool)                COMMENT 'Whether the last known outcome is resolved; null: no outcome known',
    first_contact_resolved Nullable(Bool)                COMMENT 'Resolved with exactly one contact; null: no outcome known',
    dropped                UInt64                        COMMENT 'Interactions that are counted in here and that path no longer lists',
    version                UInt64                        COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown',
    inserted_at            DateTime64(3, 'UTC')          COMMENT 'When this row was written'
)
AS SELECT
    journey_id,
    customer,
    started_at,
    ended_at,
    status,
    interactions,
    contacts,
    path,
    channels,
    subjects,
    wait_seconds,
    transfers,
    effort_seconds,
    resolved,
    first_contact_resolved,
    dropped,
    version,
    inserted_at
FROM journeys_raw FINAL
WHERE customer NOT IN (SELECT name FROM renamed_customers)
UNION ALL
SELECT
    journey_id,
    renamed.customer AS customer,
    started_at,
    ended_at,
    status,
    interactions,
    contacts,
    path,
    channels,
    subjects,
    wait_seconds,
    transfers,
    effort_seconds,
    resolved,
    first_contact_resolved,
    dropped,
    version,
    inserted_at
FROM journeys_raw AS stored FINAL
INNER JOIN renamed_customers AS renamed ON stored.customer = renamed.name
WHERE stored.customer IN (SELECT name FROM renamed_customers)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each journey: a customer''s interactions with no silence longer than the gap between them.';
