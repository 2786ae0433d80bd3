"""Plans of notebooks, run in parallel: `plan` reads and checks, `execute` runs one, `orchestrate` runs them all."""
