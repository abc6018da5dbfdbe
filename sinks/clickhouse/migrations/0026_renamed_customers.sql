-- Customers of whom rows are stored and who have become another since. Interactions that are too old to be moved keep the earlier
-- name, and the views put the present one in its place. An identifier that never named a customer is not in here, which keeps the
-- table small; a customer who is itself again (after an unlink) is in here under its own name.

-- sharded by sipHash64(name)
CREATE TABLE IF NOT EXISTS renamed_customers_raw
(
    name       String COMMENT 'Customer in the rows' CODEC(ZSTD(1)),
    customer   String COMMENT 'Customer now' CODEC(ZSTD(1)),
    links_seen UInt64 COMMENT 'Position in the log of links, the epoch added; the greatest counts' CODEC(Delta(8), ZSTD(1)),

    CONSTRAINT customer_is_named CHECK customer != ''
)
ENGINE = ${replicated}ReplacingMergeTree(links_seen)
ORDER BY name
SETTINGS ${no_deduplication}
COMMENT 'Customers who have become another. The views read it; people read `identity_history`.';

CREATE OR REPLACE VIEW renamed_customers ${on_cluster}
(
    name     String COMMENT 'Customer in the rows',
    customer String COMMENT 'Customer now'
)
AS SELECT
    name,
    customer
FROM renamed_customers_raw FINAL
WHERE customer != name
COMMENT 'One row for each customer in rows of old who is another now; the other views translate by it.';
