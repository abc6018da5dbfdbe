-- Ids of journeys and findings were hashes without a key once: whoever read them could try names until one fitted. They have a key
-- now, and a database stays with what it began with: with both at once a journey would stand in it twice.

ALTER TABLE hash_keys_raw${local} ${on_cluster}
    ADD COLUMN IF NOT EXISTS ids LowCardinality(String) DEFAULT 'plain' COMMENT 'How ids of journeys and findings are made: keyed; plain: without the key, as in a database that was begun before they had one';

-- On a cluster this is the Distributed table in front of it; on one server it is the same one, and nothing is left to do.
ALTER TABLE hash_keys_raw ${on_cluster}
    ADD COLUMN IF NOT EXISTS ids LowCardinality(String) DEFAULT 'plain' COMMENT 'How ids of journeys and findings are made: keyed; plain: without the key, as in a database that was begun before they had one';
