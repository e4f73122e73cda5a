"""How fast cells run: problems, cells and backends in one interleaved run, `python -m benchmarks cells`."""
