"""What carousel does on real data, beside simple rules and other people's work: `python -m benchmarks [NAME ...]`."""
