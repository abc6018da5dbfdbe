-- Lines as before, in decimals again, so that a customer's add up to the score exactly.

CREATE OR REPLACE VIEW light_contributions ${on_cluster}
(
    customer   String                 COMMENT 'Canonical customer',
    finding_id String                 COMMENT 'The finding that adds',
    rule       LowCardinality(String) COMMENT 'Its rule',
    channel    LowCardinality(String) COMMENT 'The process that it counts for',
    severity   LowCardinality(String) COMMENT 'minor, major or severe',
    raised_at  DateTime64(6, 'UTC')   COMMENT 'Since when it is halved',
    weight     Float64                COMMENT 'Points at raised_at',
    points     Decimal(18, 3)         COMMENT 'Points now; those of a customer add up to the score',
    sentence   String                 COMMENT 'Why the finding stands',
    decayed_to DateTime64(6, 'UTC')   COMMENT 'The instant of the query: what now means'
)
AS SELECT
    customer,
    line.finding_id AS finding_id,
    line.rule AS rule,
    line.channel AS channel,
    line.severity AS severity,
    line.raised_at AS raised_at,
    line.weight AS weight,
    CAST(toInt64(round(line.points * 1000)) AS Decimal(18, 3)) / 1000 AS points,
    line.sentence AS sentence,
    decayed_to
FROM lights
ARRAY JOIN contributions AS line
WHERE line.points > 0
COMMENT 'One row for each finding that adds to a customer''s light now.';
