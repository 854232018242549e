"""Series stage: statistics, on the partition of their record. What the MLApp must know of them travels on."""
