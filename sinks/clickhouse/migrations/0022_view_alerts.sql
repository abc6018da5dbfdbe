-- What people read of alerts: each once for each destination, with what became of it.

CREATE OR REPLACE VIEW alerts ${on_cluster}
(
    finding_id  String                 COMMENT 'The finding that it is about; of a summary of many: flood:RULE:SEVERITY',
    customer    String                 COMMENT 'Canonical customer; empty for a summary of many',
    rule        LowCardinality(String) COMMENT 'Rule of the finding',
    severity    LowCardinality(String) COMMENT 'minor, major or severe',
    kind        LowCardinality(String) COMMENT 'What there was to say: raised, updated, reminded, repeated, acknowledged, resolved, withdrawn, settled, folded, calmed',
    destination LowCardinality(String) COMMENT 'Who was to be told; empty: no route led anywhere',
    status      LowCardinality(String) COMMENT 'pending, delivered, suppressed or failed',
    reason      String                 COMMENT 'Why it was suppressed, has failed or is pending: a stable word, then the destination''s own words behind a colon',
    at          DateTime64(6, 'UTC')   COMMENT 'When it became so; the latest is shown',
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
FROM alerts_raw FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each alert and destination: delivered, pending, failed or suppressed, and why.';
