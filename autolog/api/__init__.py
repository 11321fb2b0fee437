"""The fluent functions: MLflow's names, signatures and meaning, over the run that is active in this thread or task."""
