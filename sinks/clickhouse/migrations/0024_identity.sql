-- Whose every identifier is that is linked with another: replaced whenever that changes, deleted when it is linked with nothing
-- any more. The position in the log of links orders the versions, whichever partition writes them.

-- sharded by sipHash64(name)
CREATE TABLE IF NOT EXISTS identity_raw
(
    name        String                                       COMMENT 'The identifier as a customer is written: its kind, a colon, its value; weak ones hashed' CODEC(ZSTD(1)),
    kind        LowCardinality(String)                       COMMENT 'crm_id, contract, loyalty, phone, email or device',
    identifier  String                                       COMMENT 'Its value, as in the column of that kind in interactions; 32 hex digits: hashed' CODEC(ZSTD(1)),
    customer    String                                       COMMENT 'Canonical customer; the identifier itself when it is shared' CODEC(ZSTD(1)),
    shared      Bool                                         COMMENT 'More customers than allowed use it, so it names nobody',
    since       DateTime64(6, 'UTC')                         COMMENT 'When the earliest interaction or fact that links it took place' CODEC(Delta(8), ZSTD(1)),
    evidence    Array(String)                                COMMENT 'What links it: SOURCE/ID of interactions and facts, the weightiest first, a few at most' CODEC(ZSTD(1)),
    links_seen  UInt64                                       COMMENT 'Position in the log of links, the epoch added; the greatest is shown' CODEC(Delta(8), ZSTD(1)),
    is_deleted  UInt8 DEFAULT 0                              COMMENT '1: it is linked with nothing any more',
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    INDEX by_customer customer TYPE bloom_filter(0.01) GRANULARITY 1,
    CONSTRAINT identifier_is_named CHECK name != '',
    CONSTRAINT customer_is_named CHECK customer != ''
)
ENGINE = ${replicated}ReplacingMergeTree(links_seen, is_deleted)
ORDER BY name
SETTINGS ${no_deduplication}
COMMENT 'Storage of identities. Read the view `identity`.';
