-- All its rows are in placed_interactions_raw, and since the copy began it took no more. On a cluster the first statement
-- drops the Distributed table and the second the storage behind it; on one server they are the same.

DROP TABLE IF EXISTS interactions_raw ${on_cluster} SYNC;

DROP TABLE IF EXISTS interactions_raw${local} ${on_cluster} SYNC;
