-- What people read of the changes of identities: merges and unmerges, each once.

CREATE OR REPLACE VIEW identity_history ${on_cluster}
(
    changed_at  DateTime64(6, 'UTC')   COMMENT 'When the interaction or the fact that decided took place',
    change      LowCardinality(String) COMMENT 'merge: it joined somebody; unmerge: it left somebody',
    kind        LowCardinality(String) COMMENT 'crm_id, contract, loyalty, phone, email or device',
    identifier  String                 COMMENT 'Its value, as in the column of that kind in interactions; 32 hex digits: hashed',
    name        String                 COMMENT 'The identifier as a customer is written: its kind, a colon, its value',
    before      String                 COMMENT 'Canonical customer before',
    after       String                 COMMENT 'Canonical customer after',
    decided_by  String                 COMMENT 'learnt: interactions showed it; else the source of the fact (operator:NAME)',
    reason      Nullable(String)       COMMENT 'Why, in the words of who said so; null: nothing was said',
    links_seen  UInt64                 COMMENT 'Position in the log of links, the epoch added',
    inserted_at DateTime64(3, 'UTC')   COMMENT 'When this row was written'
)
AS SELECT
    changed_at,
    change,
    kind,
    identifier,
    name,
    before,
    after,
    decided_by,
    reason,
    links_seen,
    inserted_at
FROM identity_history_raw FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'One row for each time that an identifier changed hands: from whom to whom, when, by whom and why.';
