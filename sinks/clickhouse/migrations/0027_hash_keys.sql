-- Which key the identifiers of this database are hashed with. With two keys one customer would have two names, so a worker with
-- another key is turned away.

-- sharded by sipHash64(fingerprint)
CREATE TABLE IF NOT EXISTS hash_keys_raw
(
    fingerprint String                     COMMENT 'Tells the key from others without giving it away; clear: nothing is hashed',
    at          DateTime64(6, 'UTC')       COMMENT 'When the first worker with this key came; the earliest counts'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (fingerprint, at)
SETTINGS ${no_deduplication}
COMMENT 'The key of the hashed identifiers, by its fingerprint.';
