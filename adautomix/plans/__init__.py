"""Plans of notebooks, run in parallel: `plan` and `tasks` check, `execute` runs one, `orchestrate` all."""
