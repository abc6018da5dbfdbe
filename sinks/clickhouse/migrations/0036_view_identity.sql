-- What people read of identities: whose every linked identifier is.

CREATE OR REPLACE VIEW identity ${on_cluster}
(
    customer    String                 COMMENT 'Canonical customer; the identifier itself when it is shared',
    kind        LowCardinality(String) COMMENT 'crm_id, contract, loyalty, phone, email or device',
    identifier  String                 COMMENT 'Its value, as in the column of that kind in interactions; 32 hex digits: hashed',
    name        String                 COMMENT 'The identifier as a customer is written: its kind, a colon, its value',
    shared      Bool                   COMMENT 'More customers than allowed use it, so it names nobody',
    since       DateTime64(6, 'UTC')   COMMENT 'When the earliest interaction or fact that links it took place',
    evidence    Array(String)          COMMENT 'What links it: SOURCE/ID of interactions and facts, the weightiest first, a few at most',
    links_seen  UInt64                 COMMENT 'Position in the log of links, the epoch added',
    inserted_at DateTime64(3, 'UTC')   COMMENT 'When this row was written'
)
AS SELECT
    customer,
    kind,
    identifier,
    name,
    shared,
    since,
    evidence,
    links_seen,
    inserted_at
FROM identity_raw FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each identifier that is linked with another: whose it is, since when, and by what.';
