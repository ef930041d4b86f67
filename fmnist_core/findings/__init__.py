"""What the numbers say: evaluation, health, statistics, tables, sentences."""
