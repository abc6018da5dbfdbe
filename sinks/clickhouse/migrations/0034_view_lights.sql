-- Lights as before, but for two things. The points of a contribution are Float64, because clickhouse-driver cannot read a Decimal
-- inside of a tuple; they are whole thousandths all the same. And a customer who has become another has no light of its own: the
-- other's is evaluated over both.

CREATE OR REPLACE VIEW lights ${on_cluster}
(
    customer      String                 COMMENT 'Canonical customer',
    light         LowCardinality(String) COMMENT 'green, yellow or red, now',
    score         Decimal(18, 3)         COMMENT 'Points now: those of the contributions added up',
    light_phone   LowCardinality(String) COMMENT 'The same for the findings of the channel phone',
    light_email   LowCardinality(String) COMMENT 'The same for the findings of the channel email',
    light_visit   LowCardinality(String) COMMENT 'The same for the findings of the channel visit',
    light_online  LowCardinality(String) COMMENT 'The same for the findings of the channel online',
    score_phone   Decimal(18, 3)         COMMENT 'Points now of the findings of the channel phone',
    score_email   Decimal(18, 3)         COMMENT 'Points now of the findings of the channel email',
    score_visit   Decimal(18, 3)         COMMENT 'Points now of the findings of the channel visit',
    score_online  Decimal(18, 3)         COMMENT 'Points now of the findings of the channel online',
    contributions Array(Tuple(finding_id String, rule LowCardinality(String), channel LowCardinality(String), severity LowCardinality(String), raised_at DateTime64(6, 'UTC'), weight Float64, points Float64, sentence String)) COMMENT 'What adds to it, greatest first: weight in points at raised_at, points now',
    evaluated_at  DateTime64(6, 'UTC')   COMMENT 'When the light was last evaluated; since then it faded',
    decayed_to    DateTime64(6, 'UTC')   COMMENT 'The instant of the query: what now means; what was raised fades by whole minutes',
    version       UInt64                 COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown'
)
AS WITH faded AS (
    SELECT
        *,
        now64(6, 'UTC') AS moment,
        intDiv(toUnixTimestamp64Micro(moment), 60000000) AS minute,
        arrayMap(
            (full, since) -> toInt64(
                floor(full * 1000 * exp2(least(0, since - minute) / (half_life / 60000000)) + 0.5)
            ),
            contributions.weight,
            arrayMap(raised -> intDiv(toUnixTimestamp64Micro(raised), 60000000), contributions.raised_at)
        ) AS remaining,
        arraySum(arrayFilter((left, channel) -> channel = 'phone', remaining, contributions.channel)) AS total_phone,
        arraySum(arrayFilter((left, channel) -> channel = 'email', remaining, contributions.channel)) AS total_email,
        arraySum(arrayFilter((left, channel) -> channel = 'visit', remaining, contributions.channel)) AS total_visit,
        arraySum(arrayFilter((left, channel) -> channel = 'online', remaining, contributions.channel)) AS total_online,
        arraySum(remaining) AS total
    FROM lights_raw FINAL
    WHERE customer NOT IN (SELECT name FROM renamed_customers)
)
SELECT
    customer,
    toLowCardinality(
        multiIf(total < yellow_until, 'green', total < red_until AND colour = 'red', 'yellow', colour)
    ) AS light,
    CAST(total AS Decimal(18, 3)) / 1000 AS score,
    toLowCardinality(
        multiIf(total_phone < yellow_until, 'green', total_phone < red_until AND colour_phone = 'red', 'yellow', colour_phone)
    ) AS light_phone,
    toLowCardinality(
        multiIf(total_email < yellow_until, 'green', total_email < red_until AND colour_email = 'red', 'yellow', colour_email)
    ) AS light_email,
    toLowCardinality(
        multiIf(total_visit < yellow_until, 'green', total_visit < red_until AND colour_visit = 'red', 'yellow', colour_visit)
    ) AS light_visit,
    toLowCardinality(
        multiIf(total_online < yellow_until, 'green', total_online < red_until AND colour_online = 'red', 'yellow', colour_online)
    ) AS light_online,
    CAST(total_phone AS Decimal(18, 3)) / 1000 AS score_phone,
    CAST(total_email AS Decimal(18, 3)) / 1000 AS score_email,
    CAST(total_visit AS Decimal(18, 3)) / 1000 AS score_visit,
    CAST(total_online AS Decimal(18, 3)) / 1000 AS score_online,
    CAST(
        arrayZip(
            faded.contributions.finding_id,
            faded.contributions.rule,
            faded.contributions.channel,
            faded.contributions.severity,
            faded.contributions.raised_at,
            faded.contributions.weight,
            arrayMap(left -> left / 1000, remaining),
            faded.contributions.sentence
        ) AS Array(Tuple(finding_id String, rule LowCardinality(String), channel LowCardinality(String), severity LowCardinality(String), raised_at DateTime64(6, 'UTC'), weight Float64, points Float64, sentence String))
    ) AS contributions,
    at AS evaluated_at,
    moment AS decayed_to,
    version
FROM faded
COMMENT 'One row for each customer with a finding that counts: the light now, and what adds to it.';
