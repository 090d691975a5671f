"""One module per group of tests; each has a function run(ctx)."""
