-- A customer's light as it was when it was last evaluated, with all that is needed to let it fade until now: what each finding
-- weighed, when it was raised, the half-life and the scores below which a colour ends. A light of no finding is deleted.

-- sharded by sipHash64(customer)
CREATE TABLE IF NOT EXISTS lights_raw
(
    customer                   String                                       COMMENT 'Canonical customer' CODEC(ZSTD(1)),
    at                         DateTime64(6, 'UTC')                         COMMENT 'When it was evaluated' CODEC(Delta(8), ZSTD(1)),
    colour                     LowCardinality(String)                       COMMENT 'green, yellow or red at that instant',
    colour_phone               LowCardinality(String)                       COMMENT 'The same for the findings of the channel phone',
    colour_email               LowCardinality(String)                       COMMENT 'The same for the findings of the channel email',
    colour_visit               LowCardinality(String)                       COMMENT 'The same for the findings of the channel visit',
    colour_online              LowCardinality(String)                       COMMENT 'The same for the findings of the channel online',
    `contributions.finding_id` Array(String)                                COMMENT 'What adds to it: the finding' CODEC(ZSTD(1)),
    `contributions.rule`       Array(LowCardinality(String))                COMMENT 'What adds to it: its rule',
    `contributions.channel`    Array(LowCardinality(String))                COMMENT 'What adds to it: the process that it counts for',
    `contributions.severity`   Array(LowCardinality(String))                COMMENT 'What adds to it: minor, major or severe',
    `contributions.raised_at`  Array(DateTime64(6, 'UTC'))                  COMMENT 'What adds to it: since when it is halved' CODEC(ZSTD(1)),
    `contributions.weight`     Array(Float64)                               COMMENT 'What adds to it: points at raised_at' CODEC(ZSTD(1)),
    `contributions.sentence`   Array(String)                                COMMENT 'What adds to it: why the finding stands' CODEC(ZSTD(3)),
    half_life                  UInt64                                       COMMENT 'In so many microseconds a contribution is halved' CODEC(ZSTD(1)),
    yellow_until               UInt64                                       COMMENT 'Yellow ends when the score falls below so many thousandths of a point' CODEC(ZSTD(1)),
    red_until                  UInt64                                       COMMENT 'Red ends when the score falls below so many thousandths of a point' CODEC(ZSTD(1)),
    next_change                Nullable(DateTime64(6, 'UTC'))               COMMENT 'When fading alone changes a colour; null: never' CODEC(ZSTD(1)),
    version                    UInt64                                       COMMENT 'Order of the evaluations of a customer: epoch plus offset of the batch; the greatest is shown' CODEC(Delta(8), ZSTD(1)),
    is_deleted                 UInt8 DEFAULT 0                              COMMENT '1: no finding adds to it, it is green',
    inserted_at                DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When this row was written' CODEC(Delta(8), ZSTD(1)),

    CONSTRAINT customer_is_named CHECK customer != '',
    CONSTRAINT it_fades CHECK half_life > 0
)
ENGINE = ${replicated}ReplacingMergeTree(version, is_deleted)
ORDER BY (customer)
SETTINGS ${no_deduplication}
COMMENT 'Storage of lights as last evaluated. Read the views `lights`, `customers` and `light_contributions`.';
