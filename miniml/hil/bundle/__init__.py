"""A bundle: what a bench needs of a build, in one file (docs/CI.md, "Build and bench apart")."""
