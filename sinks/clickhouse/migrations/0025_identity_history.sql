-- Every time that an identifier changed hands, with who decided it and why.
-- The change itself is the key, so a batch that is written again after a crash writes the same rows.

-- sharded by sipHash64(name)
CREATE TABLE IF NOT EXISTS identity_history_raw
(
    name          String                                       COMMENT 'The identifier as a customer is written: its kind, a colon, its value; weak ones hashed' CODEC(ZSTD(1)),
    kind          LowCardinality(String)                       COMMENT 'crm_id, contract, loyalty, phone, email or device',
    identifier    String                                       COMMENT 'Its value, as in the column of that kind in interactions; 32 hex digits: hashed' CODEC(ZSTD(1)),
    change        LowCardinality(String)                       COMMENT 'merge: it joined somebody; unmerge: it left somebody',
    before        String                                       COMMENT 'Canonical customer before' CODEC(ZSTD(1)),
    after         String                                       COMMENT 'Canonical customer after' CODEC(ZSTD(1)),
    changed_at    DateTime64(6, 'UTC')                         COMMENT 'When the interaction or the fact that decided took place' CODEC(Delta(8), ZSTD(1)),
    decided_by    String                                       COMMENT 'learnt: interactions showed it; else the source of the fact (operator:NAME)' CODEC(ZSTD(1)),
    reason        Nullable(String)                             COMMENT 'Why, in the words of who said so; null: nothing was said' CODEC(ZSTD(3)),
    links_seen    UInt64                                       COMMENT 'Position in the log of links, the epoch added' CODEC(Delta(8), ZSTD(1)),
    inserted_at   DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_before before TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_after after TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time changed_at TYPE minmax GRANULARITY 1,
    CONSTRAINT identifier_is_named CHECK name != ''
)
ENGINE = ${replicated}ReplacingMergeTree(links_seen)
ORDER BY (name, changed_at, before, after)
SETTINGS ${no_deduplication}
COMMENT 'Storage of the changes of identities. Read the view `identity_history`.';
