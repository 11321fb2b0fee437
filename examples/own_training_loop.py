"""A training loop of one's own: gradient descent for a straight line, with every step's loss recorded."""

import numpy as np

import autolog

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, 200)
y = 3 * x + 0.5 + rng.normal(0, 0.1, 200)
slope, intercept = 0.0, 0.0

autolog.set_experiment("straight line")
with autolog.start_run(run_name="gradient descent"):
    autolog.log_params({"learning_rate": 0.1, "steps": 200})
    for step in range(200):
        error = slope * x + intercept - y
        autolog.log_metric("loss", np.mean(error**2), step=step)
        slope -= 0.1 * np.mean(2 * error * x)
        intercept -= 0.1 * np.mean(2 * error)
    autolog.log_metrics({"slope": slope, "intercept": intercept})
    autolog.set_tag("purpose", "example")
    autolog.log_dict({"slope": slope, "intercept": intercept}, "model.json")
    autolog.log_artifact(__file__)
