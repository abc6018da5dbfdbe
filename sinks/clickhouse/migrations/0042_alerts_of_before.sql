-- The history begins with what is known of earlier alerts: what they came to, and what was not merged away yet.

INSERT INTO alerts_history_raw
    (finding_id, customer, rule, severity, kind, destination, status, reason, at, version, inserted_at)
SELECT finding_id, customer, rule, severity, kind, destination, status, reason, at, version, inserted_at
FROM alerts_raw;
