-- What became of alerts, each time: also what was held back first and told later, or held back again for another reason.
-- A customer who has become another is shown under the present name, as in `alerts`.

CREATE OR REPLACE VIEW alerts_history ${on_cluster}
(
    finding_id  String                 COMMENT 'The finding that it is about; of a summary of many: flood:RULE:SEVERITY',
    customer    String                 COMMENT 'Canonical customer; empty for a summary of many',
    rule        LowCardinality(String) COMMENT 'Rule of the finding',
    severity    LowCardinality(String) COMMENT 'minor, major or severe',
    kind        LowCardinality(String) COMMENT 'What there was to say: raised, updated, reminded, repeated, acknowledged, resolved, withdrawn, settled, folded, calmed',
    destination LowCardinality(String) COMMENT 'Who was to be told; empty: no route led anywhere',
    status      LowCardinality(String) COMMENT 'pending, delivered, suppressed or failed, from then on',
    reason      String                 COMMENT 'Why it was suppressed, has failed or is pending: a stable word, then the destination''s own words behind a colon',
    at          DateTime64(6, 'UTC')   COMMENT 'When it became so',
    version     UInt64                 COMMENT 'Version of the finding''s change that it tells',
    inserted_at DateTime64(3, 'UTC')   COMMENT 'When this row was written'
)
AS SELECT
    finding_id,
    customer,
    rule,
    severity,
    kind,
    destination,
    status,
    reason,
    at,
    version,
    inserted_at
FROM alerts_history_raw FINAL
WHERE customer NOT IN (SELECT name FROM renamed_customers)
UNION ALL
SELECT
    finding_id,
    renamed.customer AS customer,
    rule,
    severity,
    kind,
    destination,
    status,
    reason,
    at,
    version,
    inserted_at
FROM alerts_history_raw AS stored FINAL
INNER JOIN renamed_customers AS renamed ON stored.customer = renamed.name
WHERE stored.customer IN (SELECT name FROM renamed_customers)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each time that something became of an alert at a destination: pending, delivered, failed or suppressed, and why.';
