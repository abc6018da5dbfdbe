"""The benchmark: what the pipeline costs, and the peers that it is measured against."""
