-- Every change of a finding as before, each once.
-- A customer who has become another is shown under the present name, also in rows that are too old to be written anew: they are
-- the second part of the union, which costs nothing while there are none. The first part lets filters reach the indexes.

CREATE OR REPLACE VIEW findings_history ${on_cluster}
(
    finding_id     String                                        COMMENT 'Derived from rule, case, customer, anchor and counted subject: the same as long as it is true',
    customer       String                                        COMMENT 'Canonical customer',
    sequence       UInt64                                        COMMENT 'Number of this change of the finding, from 1',
    kind           LowCardinality(String)                        COMMENT 'raised, updated, resolved, withdrawn, settled or reopened',
    at             DateTime64(6, 'UTC')                          COMMENT 'When: by event time for what events decide, else when it became known',
    reason         LowCardinality(String)                        COMMENT 'Why it changed, a stable word: completed, deadline, arrived, corrected, removed, time, horizon, ...',
    cause_source   LowCardinality(Nullable(String))              COMMENT 'The interaction that did it: system; null: time or a change of rules did',
    cause_id       Nullable(String)                              COMMENT 'The interaction that did it: id within the source; null: time or a change of rules did',
    rule           LowCardinality(String)                        COMMENT 'Rule of the catalogue that found it',
    rule_version   LowCardinality(String)                        COMMENT 'Hash of the rule''s content when it found this',
    rule_case      LowCardinality(String)                        COMMENT 'Which of the rule''s cases stands',
    severity       LowCardinality(String)                        COMMENT 'minor, major or severe',
    state          LowCardinality(String)                        COMMENT 'open, resolved (it was true and has been put right), settled (it left the horizon and stays as it was) or withdrawn (it never was true), after this change',
    raised_at      DateTime64(6, 'UTC')                          COMMENT 'Since when it stands: the deadline that passed, or the interaction that completed it',
    resolved_at    Nullable(DateTime64(6, 'UTC'))                COMMENT 'When it was put right; null: it was not',
    weight         Float64                                       COMMENT 'Points that the rule gives it in the light at raised_at, halved every half-life',
    channel        LowCardinality(String)                        COMMENT 'The process that it counts for: phone, email, visit or online',
    extends_to     Nullable(DateTime64(6, 'UTC'))                COMMENT 'Instant of the last thing that it counts; null: not said',
    anchor_source  LowCardinality(String)                        COMMENT 'Interaction that it is anchored at: system',
    anchor_id      String                                        COMMENT 'Interaction that it is anchored at: id within the source',
    evidence       Array(Tuple(source LowCardinality(String), id String, topic LowCardinality(String), partition UInt32, offset UInt64, occurred_at DateTime64(6, 'UTC'), channel LowCardinality(String), values Map(String, String))) COMMENT 'The interactions that it rests on, in the order of the timeline, with the values that mattered',
    counterfactual Array(Tuple(source LowCardinality(String), id String)) COMMENT 'A smallest set of evidence without which it would not stand',
    subjects       Array(String)                                 COMMENT 'What it is about: case:ID, order:ID, reason:a.b, thread:ID',
    sentence       String                                        COMMENT 'Why it stands, in words, over the evidence',
    action         String                                        COMMENT 'What to do about it',
    version        UInt64                                        COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown',
    inserted_at    DateTime64(3, 'UTC')                          COMMENT 'When this row was written'
)
AS SELECT
    finding_id,
    customer,
    sequence,
    kind,
    at,
    reason,
    cause_source,
    cause_id,
    rule,
    rule_version,
    rule_case,
    severity,
    state,
    raised_at,
    resolved_at,
    weight,
    channel,
    extends_to,
    anchor_source,
    anchor_id,
    CAST(
        arrayZip(
            evidence.source,
            evidence.id,
            evidence.topic,
            evidence.partition,
            evidence.offset,
            evidence.occurred_at,
            evidence.channel,
            evidence.values
        ) AS Array(Tuple(source LowCardinality(String), id String, topic LowCardinality(String), partition UInt32, offset UInt64, occurred_at DateTime64(6, 'UTC'), channel LowCardinality(String), values Map(String, String)))
    ) AS evidence,
    CAST(arrayZip(counterfactual.source, counterfactual.id) AS Array(Tuple(source LowCardinality(String), id String))) AS counterfactual,
    subjects,
    sentence,
    action,
    version,
    inserted_at
FROM findings_history_raw FINAL
WHERE customer NOT IN (SELECT name FROM renamed_customers)
UNION ALL
SELECT
    finding_id,
    renamed.customer AS customer,
    sequence,
    kind,
    at,
    reason,
    cause_source,
    cause_id,
    rule,
    rule_version,
    rule_case,
    severity,
    state,
    raised_at,
    resolved_at,
    weight,
    channel,
    extends_to,
    anchor_source,
    anchor_id,
    CAST(
        arrayZip(
            evidence.source,
            evidence.id,
            evidence.topic,
            evidence.partition,
            evidence.offset,
            evidence.occurred_at,
            evidence.channel,
            evidence.values
        ) AS Array(Tuple(source LowCardinality(String), id String, topic LowCardinality(String), partition UInt32, offset UInt64, occurred_at DateTime64(6, 'UTC'), channel LowCardinality(String), values Map(String, String)))
    ) AS evidence,
    CAST(arrayZip(counterfactual.source, counterfactual.id) AS Array(Tuple(source LowCardinality(String), id String))) AS counterfactual,
    subjects,
    sentence,
    action,
    version,
    inserted_at
FROM findings_history_raw AS stored FINAL
INNER JOIN renamed_customers AS renamed ON stored.customer = renamed.name
WHERE stored.customer IN (SELECT name FROM renamed_customers)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each change of a finding, with the reason and the finding as it stood after it.';
