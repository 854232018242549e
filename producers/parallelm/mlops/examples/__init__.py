"""Components that ship with the library: comparators of two pipelines."""
