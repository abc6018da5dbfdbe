-- Every customer of whom a journey or a light is stored. United, not joined: a filter on the customer reaches both tables, and on a
-- cluster no rows cross. To list the red ones alone, `lights` is quicker: it does not look at journeys.

CREATE OR REPLACE VIEW customers ${on_cluster}
(
    customer      String                         COMMENT 'Canonical customer',
    light         LowCardinality(String)         COMMENT 'green, yellow or red, now; green where no finding counts',
    score         Decimal(18, 3)                 COMMENT 'Points now: those of the view light_contributions added up',
    light_phone   LowCardinality(String)         COMMENT 'The same for the findings of the channel phone',
    light_email   LowCardinality(String)         COMMENT 'The same for the findings of the channel email',
    light_visit   LowCardinality(String)         COMMENT 'The same for the findings of the channel visit',
    light_online  LowCardinality(String)         COMMENT 'The same for the findings of the channel online',
    score_phone   Decimal(18, 3)                 COMMENT 'Points now of the findings of the channel phone',
    score_email   Decimal(18, 3)                 COMMENT 'Points now of the findings of the channel email',
    score_visit   Decimal(18, 3)                 COMMENT 'Points now of the findings of the channel visit',
    score_online  Decimal(18, 3)                 COMMENT 'Points now of the findings of the channel online',
    journeys      UInt64                         COMMENT 'Number of journeys',
    open_journeys UInt64                         COMMENT 'Of them: not closed yet',
    interactions  UInt64                         COMMENT 'Interactions of these journeys',
    contacts      UInt64                         COMMENT 'Of them: the customer turned to people',
    first_seen_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first journey began; null: no journey is stored',
    last_seen_at  Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last interaction (so far) of a journey began; null: no journey is stored'
)
AS SELECT
    customer,
    toLowCardinality(if(max(one.light) = '', 'green', max(one.light))) AS light,
    max(one.score) AS score,
    toLowCardinality(if(max(one.light_phone) = '', 'green', max(one.light_phone))) AS light_phone,
    toLowCardinality(if(max(one.light_email) = '', 'green', max(one.light_email))) AS light_email,
    toLowCardinality(if(max(one.light_visit) = '', 'green', max(one.light_visit))) AS light_visit,
    toLowCardinality(if(max(one.light_online) = '', 'green', max(one.light_online))) AS light_online,
    max(one.score_phone) AS score_phone,
    max(one.score_email) AS score_email,
    max(one.score_visit) AS score_visit,
    max(one.score_online) AS score_online,
    sum(one.journeys) AS journeys,
    sum(one.open_journeys) AS open_journeys,
    sum(one.interactions) AS interactions,
    sum(one.contacts) AS contacts,
    min(one.first_seen_at) AS first_seen_at,
    max(one.last_seen_at) AS last_seen_at
FROM (
    SELECT
        customer,
        '' AS light,
        CAST(0 AS Decimal(18, 3)) AS score,
        '' AS light_phone,
        '' AS light_email,
        '' AS light_visit,
        '' AS light_online,
        CAST(0 AS Decimal(18, 3)) AS score_phone,
        CAST(0 AS Decimal(18, 3)) AS score_email,
        CAST(0 AS Decimal(18, 3)) AS score_visit,
        CAST(0 AS Decimal(18, 3)) AS score_online,
        toUInt64(1) AS journeys,
        toUInt64(status = 'open') AS open_journeys,
        interactions,
        contacts,
        toNullable(started_at) AS first_seen_at,
        toNullable(ended_at) AS last_seen_at
    FROM journeys
    UNION ALL
    SELECT
        customer,
        toString(light),
        score,
        toString(light_phone),
        toString(light_email),
        toString(light_visit),
        toString(light_online),
        score_phone,
        score_email,
        score_visit,
        score_online,
        0,
        0,
        0,
        0,
        NULL,
        NULL
    FROM lights
) AS one
GROUP BY customer
COMMENT 'One row for each customer: the light now, for all and for each channel, and what is known of the journeys.';
